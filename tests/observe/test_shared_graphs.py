"""What one rank's Inductor generated, another takes: as if it had been generated for its own card."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import observe
from paths import CLIENTS

from nanocheck.observe import shared_graphs

CARD = st.integers(0, 63)
#: As Inductor writes them; other numbers stand beside.
CODE = """
#   %x : Tensor "f32[512, 1][1, 1]cuda:{0}"[num_users=1] = PlaceHolder[target=x]
'device': DeviceProperties(type='cuda', index={0}, multi_processor_count=46), 'xnumel': {1}
with torch.cuda._DeviceGuard({0}):
    torch.cuda.set_device({0})
    buf{1} = empty_strided_cuda(({1}, 1), (1, {1}), torch.float32)
    raw_stream{0} = get_raw_stream({0})
    triton_poi_fused_{1}.run(buf{1}, {1}, stream=raw_stream{0})
    stream{0} = get_raw_stream({0})
    extern_kernels.select(buf{1}, dim=0, index={1}, out=torch.device(type='cuda', index={0}))
"""


@given(CARD, CARD, CARD)
def test_code_for_another_card_differs_in_the_cards_number_only(was: int, is_now: int, number: int) -> None:
    assert shared_graphs.for_card(CODE.format(was, number), was, is_now) == CODE.format(is_now, number)


#: Holds a file's lock; while ``works``, it uses the processor until it is told to end.
HOLDER = """
import fcntl, os, sys, threading
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)
print("holds", flush=True)
if sys.argv[2] == "works":
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
sys.stdin.readline()
os._exit(0)
"""


@pytest.mark.parametrize("works", [True, False])
def test_a_rank_waits_for_the_one_that_compiles_as_long_as_that_one_works(
    works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that rests may wait for this rank: nobody waits for it longer than for a moment."""
    monkeypatch.setenv(shared_graphs.FOLDER, str(tmp_path))
    naps: list[float] = []
    holder = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, str(tmp_path / "graph-key"), "works" if works else "rests"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()

        def nap(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 100:
                holder.kill()
                holder.wait()

        clock = iter(range(10**6))  # a second for each look, so that nothing hangs on this machine
        ticks = iter(range(10**6))
        monkeypatch.setattr(shared_graphs.time, "sleep", nap)
        monkeypatch.setattr(shared_graphs.time, "monotonic", lambda: next(clock))
        if works:
            monkeypatch.setattr(shared_graphs, "_processor_ticks", lambda pid: next(ticks))
        assert shared_graphs._begin("key")
        holder.kill()
    assert len(naps) == 100 if works else 10 <= len(naps) < 20
    shared_graphs._end("key")
    assert not shared_graphs._compiling


def test_who_comes_first_compiles_and_who_comes_later_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(shared_graphs.FOLDER, str(tmp_path))
    assert not shared_graphs._begin("key")
    other = os.open(tmp_path / "graph-key", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    shared_graphs._end("key")
    assert shared_graphs._begin("key")
    shared_graphs._end("key")
    os.close(other)


@pytest.mark.slow  # compiles; the tests above
def test_ranks_that_share_hold_what_one_holds_that_compiled_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    told = {}
    for ranks in ("all", "1"):
        (own := tmp_path / ranks).mkdir()
        seen = observe(
            CLIENTS / "ranks/compiled.py",
            own,
            gpu="2xrtx4070",
            steps=0,
            ranks=ranks,
            launcher=torchrun,
            environment={"TORCHINDUCTOR_CACHE_DIR": str(own / "inductor")},
        )
        lines = re.findall(r"^rank (\d) found (\d+) holds (.*)$", seen.stdout, re.MULTILINE)
        told[ranks] = {int(rank): (int(found), held) for rank, found, held in lines}
        assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    (found, held), (found_too, held_too) = told["all"][0], told["all"][1]
    assert found + found_too == 2  # forward and backward, each generated once
    assert {held, held_too} == {told["1"][1][1]}
    assert told["1"][1][0] == 0
