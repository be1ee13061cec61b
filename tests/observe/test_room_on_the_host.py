"""Ranks that do not fit the host's memory are told so, and no process is left to the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.observe import absent_ranks, host_memory, host_room

MIB = 1 << 20


@given(
    st.integers(1, 200), st.integers(1, 2000), st.integers(0, 1 << 20), st.sampled_from(["all", "ends", "0"])
)
def test_ranks_are_refused_where_what_they_take_at_the_least_is_not_there(
    world: int, each_mib: int, available_mib: int, ranks: str
) -> None:
    running = len(absent_ranks.chosen(ranks, world) or range(world))
    needed = running * each_mib * MIB + (world - running) * host_room.WAITING_BYTES
    with tempfile.TemporaryDirectory() as folder:
        said = {"NANOCHECK_RUN": folder, absent_ranks.VARIABLE: ranks}
        with (
            mock.patch.dict(os.environ, said),
            mock.patch.object(host_memory, "own_bytes", return_value=each_mib * MIB),
            mock.patch.object(host_memory, "available_bytes", return_value=available_mib * MIB),
        ):
            if running > 1 and needed > available_mib * MIB:
                with pytest.raises(SystemExit, match=f"{running} ranks"):
                    host_room.refuse_where_ranks_do_not_fit(world)
                refused = host_room.refused(folder)
                assert refused is not None
                # What is asked instead are fewer ranks, and ranks that are there.
                text = refused[1].split()[1]
                assert len(absent_ranks.chosen(text, world) or range(world)) < running
            else:
                host_room.refuse_where_ranks_do_not_fit(world)
                assert host_room.refused(folder) is None


def test_what_a_process_holds_is_its_own_pages() -> None:
    script = "import sys; held = bytearray(b'x') * (200 << 20); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        own = host_memory.own_bytes(holder.pid)
        assert 200 * MIB <= own < 240 * MIB
        with mock.patch.dict(os.environ, {host_memory.MOST: str(300 * MIB)}):
            assert host_memory.total_bytes() == 300 * MIB
            assert host_memory.available_bytes() == 300 * MIB
            # It begins to read meanwhile, for which Python takes a few pages.
            assert 0 <= 300 * MIB - host_memory.available_bytes([holder.pid]) - own < MIB
            assert host_memory.available_bytes([holder.pid, holder.pid]) == 0
        assert holder.stdin is not None
        holder.stdin.close()


def test_a_group_with_a_limit_counts(tmp_path: Path) -> None:
    """Of version 2: the limit is that of a group around ours, and pages of idle files are no use of it."""
    (own := tmp_path / "outer/own").mkdir(parents=True)
    (own / "memory.max").write_text("max\n")
    (own / "memory.current").write_text(f"{50 * MIB}\n")
    (own.parent / "memory.max").write_text(f"{100 * MIB}\n")
    (own.parent / "memory.current").write_text(f"{90 * MIB}\n")
    (own.parent / "memory.stat").write_text(f"anon 1\ninactive_file {20 * MIB}\nactive_file {10 * MIB}\n")
    names = ("memory.max", "memory.current", ("inactive_file", "active_file"))
    folders = [(str(each), *names) for each in (own, own.parent, tmp_path)]
    with mock.patch.object(host_memory, "_group_folders", return_value=folders):
        assert host_memory.available_bytes() == 40 * MIB
        assert host_memory.total_bytes() == 100 * MIB


def verb(
    ranks: str, command: Sequence[str], most_mib: int, gpu: str = "2xrtx4070"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nanocheck", "run", "--gpu", gpu, "--ranks", ranks, "--", *command],
        env={**os.environ, host_memory.MOST: str(most_mib * MIB)},
        capture_output=True,
        text=True,
        timeout=300,  # the virtual GPU may have to be compiled first
        check=False,
    )


def test_a_launcher_starts_no_rank_where_all_do_not_fit(tmp_path: Path) -> None:
    script = tmp_path / "begins.py"
    script.write_text(f"open({str(tmp_path / 'began')!r}, 'w')\n")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4"]
    said = verb("all", [*torchrun, str(script)], 300, "4xrtx4070")
    assert said.returncode == 3
    assert "host's memory for 4 ranks" in said.stderr
    assert "hint: --ranks 0,last" in said.stderr
    assert not (tmp_path / "began").exists()


#: Two ranks as a launcher starts them, which import no torch; each takes 100 MiB and waits for good.
TWO = 'for rank in 0 1; do RANK=$rank WORLD_SIZE=2 "$@" & done; wait'
HOLDS = "import time; held = bytearray(b'x') * (100 << 20); time.sleep(600 * {})"


@pytest.mark.parametrize("ranks", ["all", "0"])
def test_ranks_that_use_the_host_up_are_ended(ranks: str) -> None:
    """One rank alone has nobody to leave out: it is not ended, whatever it takes."""
    script = HOLDS.format(int(ranks == "all"))
    said = verb(ranks, ["bash", "-c", TWO, "-", sys.executable, "-c", script], 450)
    if ranks == "0":
        assert said.returncode == 0, said.stderr
    else:
        assert said.returncode == 3
        assert "2 ranks hold 0." in said.stderr
        assert "hint: --ranks 0 " in said.stderr
