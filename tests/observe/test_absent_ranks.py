"""Ranks that are left out: which run, that nobody waits for the others, and that no figure moves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen, observe
from paths import CLIENTS
from some_ranks import machine, torchrun
from time_limits import ended_where_it_waits

from nanocheck.core.result import Outcome
from nanocheck.observe.absent_ranks import ALL, ENDS, LAST, chosen

WORLDS = st.integers(2, 1000)


@given(WORLDS)
def test_by_default_the_first_and_the_last_run_and_of_two_both(world: int) -> None:
    assert chosen(ENDS, world) == (None if world == 2 else {0, world - 1})
    assert chosen(f"0,{LAST}", world) == chosen(ENDS, world)
    assert chosen(ALL, world) is None
    assert chosen(ENDS, 1) is None


@given(WORLDS, st.sets(st.integers(0, 1100), min_size=1, max_size=8))
def test_a_rank_that_is_not_there_is_named(world: int, asked: set[int]) -> None:
    text = ",".join(map(str, asked))
    if max(asked) < world:
        assert chosen(text, world) == (None if len(asked) == world else asked)
    else:
        with pytest.raises(LookupError, match=rf"{world}.*found {max(asked)}"):
            chosen(text, world)


def told(seen: Seen, rank: int) -> list[str]:
    """What a client printed of what the card held at each phase."""
    assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    return re.findall(rf"^rank {rank} .*$", seen.stdout, re.MULTILINE)


def apart_and_together(
    folder: Path, world: int, ranks: str, client: str, *arguments: str
) -> tuple[Seen, Seen, Sequence[int]]:
    """A client with some of its ranks and with all; what both tell of those is the same, to the byte."""
    found = []
    for each in (ranks, ALL):
        own = folder / each
        own.mkdir()
        own_arguments = [text.format(folder=own) for text in arguments]
        found.append(
            observe(
                CLIENTS / "ranks" / client,
                own,
                *own_arguments,
                steps=0,
                launcher=torchrun(world),
                environment=machine(world, each),
            )
        )
    some, every = found
    run = sorted(chosen(ranks, world) or range(world))
    for rank in run:
        assert told(some, rank) == told(every, rank)
        assert len(told(some, rank)) > 1
    return some, every, run


def figures(seen: Seen) -> dict[int | None, object]:
    return {
        each.rank: (each.allocated_bytes, each.reserved_bytes, each.phase_peaks(), each.groups)
        for each in seen.result().processes
    }


def test_a_rank_alone_is_what_it_is_among_all(tmp_path: Path) -> None:
    some, every, _ = apart_and_together(tmp_path, 2, "0", "methods.py", "ddp", "zero1", "fsdp2")
    apart, together = figures(some), figures(every)
    assert list(apart) == [0]
    assert sorted(map(str, together)) == ["0", "1"]
    assert apart[0] == together[0]
    assert some.result().outcome is Outcome.COMPLETED


@pytest.mark.slow  # the test above, and alone.py
@pytest.mark.parametrize(
    ("world", "ranks", "client", "arguments"),
    [
        (4, "0,2,last", "methods.py", ("tp_fsdp2", "tp_ddp", "hsdp2", "hsdp1")),
        (3, "0,2", "methods.py", ("ddp", "zero1", "fsdp2")),
        (2, "0", "methods.py", ("fsdp1", "bucket_view", "static_graph", "no_sync", "join")),
        (2, "1", "methods.py", ("bf16_hook", "power_sgd")),
        (2, "0", "pipeline.py", ()),
        (2, "1", "pipeline.py", ()),
        (2, "0", "context.py", ()),
        (2, "0", "checkpoint.py", ("{folder}/saved",)),
    ],
)
def test_other_methods_too(
    world: int, ranks: str, client: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    apart_and_together(tmp_path, world, ranks, client, *arguments)


def test_one_process_is_any_rank_of_any_world(tmp_path: Path) -> None:
    """``alone.py`` asserts what each holds, in worlds of up to 64."""
    seen = observe(CLIENTS / "ranks/alone.py", tmp_path, steps=0, environment=machine(1, "0"))
    assert seen.stdout.endswith("done\n"), seen.stderr[-3000:]


#: A rank is started without a launcher: what the others would have said must not be waited for.
RANK = """
    import os, sys, torch, torch.distributed as dist
    rank, world, backend = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    card = torch.device("cuda", 0) if "eager" in sys.argv else None
    dist.init_process_group(
        backend, init_method=sys.argv[4], rank=rank, world_size=world, device_id=card
    )
"""


def rank_alone(folder: Path, script: str, *arguments: str, ranks: str, before: str = "", **more: str) -> Seen:
    path = folder / "script.py"
    path.write_text("\n".join(line.removeprefix("    ") for line in (before + RANK + script).splitlines()))
    return observe(path, folder, *arguments, steps=0, environment=machine(1, ranks) | more)


#: PyTorch 2.11 and before has no backends of Python: put before a script's own import of torch.distributed.
OLD_GLOO = """
    import torch
    from nanocheck.observe.distributed import host_group
    host_group._kind = lambda: None
"""


@pytest.mark.parametrize("gloo", ["", OLD_GLOO], ids=["new", "old"])
def test_stores_groups_and_meshes_answer_for_those_who_are_not_there(gloo: str, tmp_path: Path) -> None:
    """Of eight ranks the last alone, with the store that rank 0 would serve."""
    seen = rank_alone(
        tmp_path,
        """
    for group in (None, dist.new_group(backend="gloo"), dist.new_group([0, 7], backend="gloo")):
        objects = [None] * dist.get_world_size(group)
        dist.all_gather_object(objects, {"rank": rank}, group=group)
        print("objects", len([each for each in objects if each == {"rank": 7}]))
    gloo = dist.new_group(backend="gloo")
    dist.monitored_barrier(gloo)
    dist.barrier(gloo)
    total = torch.ones(3)
    dist.all_reduce(total, group=gloo)
    print("sum", int(total[0]))
    whole = torch.zeros(8)
    dist.all_to_all_single(whole, torch.arange(8.0), group=gloo)
    print("own", int(whole[7]))
    print("outside", dist.new_group([0, 1], backend="nccl") == dist.GroupMember.NON_GROUP_MEMBER)
    local = dist.new_group([5, 7], use_local_synchronization=True)
    on_card = torch.ones(4, device="cuda")
    dist.all_reduce(on_card, group=local)
    mesh = dist.init_device_mesh("cuda", (2, 2, 2), mesh_dim_names=("a", "b", "c"))
    for name in ("a", "b", "c"):
        dist.all_reduce(on_card, group=mesh[name].get_group())
    dist.recv(on_card, 6)
    dist.send(on_card, 0)
    dist.barrier()
    for what in (dist.broadcast_object_list, dist.recv_object_list):
        try:
            what([None], src=0)
        except RuntimeError as error:
            print("refused", str(error).replace(" ", "_"))
    try:
        dist.distributed_c10d._get_default_store().get("only rank 3 writes it")
    except RuntimeError as error:
        print("store", str(error).replace(" ", "_"))
    dist.destroy_process_group()
""",
        *("7", "8", "cpu:gloo,cuda:nccl", f"tcp://127.0.0.1:{free_port()}"),
        ranks=LAST,
        before=gloo,
        NANOCHECK_RANK_WAIT_S="0.2",
        TORCH_DIST_INIT_BARRIER="1",
    )
    assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    said = [line.split(" ", 1) for line in seen.stdout.splitlines()]
    assert [value for name, value in said if name == "objects"] == ["8", "8", "2"]
    found = dict(said)
    assert (found["sum"], found["own"], found["outside"]) == ("8", "7", "True")
    refused = [value for name, value in said if name == "refused"]
    assert len(refused) == 2
    assert all("rank_0" in value and "--ranks_0,7" in value for value in refused)
    assert "only_rank_3_writes_it" in found["store"]
    (process,) = seen.processes()
    assert process.start is not None
    assert (process.start.rank, process.start.world) == (7, 8)


def test_a_split_groups_members_are_known_by_pytorchs_own_colour(tmp_path: Path) -> None:
    seen = rank_alone(
        tmp_path,
        """
    from nanocheck.observe.distributed.nccl_groups import split_colours
    half = dist.split_group(split_ranks=[[0, 2, 5], [1, 3, 4]])
    print("colour", half._get_backend(card).options.split_color in split_colours([0, 2, 5]))
    dist.all_reduce(torch.ones(4, device=card), group=half)
    dist.destroy_process_group()
""",
        *("5", "6", "nccl", f"file://{tmp_path}/store", "eager"),
        ranks="5",
    )
    assert seen.printed().get("colour") == "True", seen.stderr[-3000:]


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        seen = rank_alone(tmp_path, "", "2", "3", "gloo", address, ranks="2")
    assert seen.ending.exit_code != 0
    assert "EADDRINUSE" in seen.stderr


#: Two ranks as a launcher starts them, which import no torch.
TWO = 'for rank in 0 1; do RANK=$rank WORLD_SIZE=2 "$@" & done; wait'


def verb(*words: str, timeout: float = 60) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nanocheck", "run", "--gpu", "2xrtx4070", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_rank_that_the_run_has_not_is_refused() -> None:
    asked = verb("--ranks", "0,9", "--", "bash", "-c", TWO, "-", sys.executable, "-c", "")
    _, said = asked.communicate(timeout=60)
    assert asked.returncode == 2
    assert "0 to 1, found 9" in said


@pytest.mark.parametrize("by", ["Ctrl-C", "time limit"])
def test_ranks_that_wait_end_with_those_that_run(by: str, tmp_path: Path) -> None:
    script = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path)!r}, 'pid-' + os.environ['RANK']).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    words = ("--ranks", "1", "--", "bash", "-c", TWO, "-", sys.executable, "-c", script)

    def limited(limit: int) -> subprocess.Popen[str]:
        found = verb("--time-limit", f"{limit}s", *words)
        found.communicate(timeout=300)
        return found

    if by == "time limit":
        running = ended_where_it_waits(limited, tmp_path / "pid-1", 8)
    else:
        running = verb(*words)
        while not (tmp_path / "pid-1").exists() and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == (124 if by == "time limit" else 128 + signal.SIGINT)
    assert not (tmp_path / "pid-0").exists()  # it is left out: its script did not begin
    pid = int((tmp_path / "pid-1").read_text())
    assert not Path(f"/proc/{pid}").exists()
    assert not _others(tmp_path)


def _others(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found


#: What rank 1 does to itself, and where; the others wait for it in the next collective.
KILLED = {
    "init": "if rank == 1: os.kill(os.getpid(), signal.SIGKILL)\ndist.init_process_group('nccl')\n",
    "collective": (
        "dist.init_process_group('nccl')\n"
        "total = torch.ones(4, device='cuda')\n"
        "if rank == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "dist.all_reduce(total)\n"
        "print(total.tolist())\n"
    ),
    "checkpoint": (
        "import torch.distributed.checkpoint as checkpoint\n"
        "dist.init_process_group('nccl')\n"
        "class Dies(checkpoint.DefaultSavePlanner):\n"
        "    def create_local_plan(self):\n"
        "        if rank == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().create_local_plan()\n"
        "folder = os.path.join(os.path.dirname(__file__), 'saved')\n"
        "weights = {'w': torch.ones(4, device='cuda')}\n"
        "checkpoint.save(weights, checkpoint_id=folder, planner=Dies())\n"
    ),
    "sizes": "dist.init_process_group('nccl')\ndist.all_reduce(torch.ones(4 + rank, device='cuda'))\n",
    "error": (
        "dist.init_process_group('nccl')\ntorch.ones(4, device='cuda')\nassert rank == 0, 'it fails here'\n"
    ),
}


@pytest.mark.slow  # virtual/test_nccl*, what the virtual card's NCCL says of a rank that is gone
@pytest.mark.parametrize("where", KILLED)
def test_a_rank_that_dies_ends_the_run_and_is_named(where: str, tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, signal, torch, torch.distributed as dist\n"
        "rank = int(os.environ['RANK'])\n"
        "torch.cuda.set_device(rank)\n" + KILLED[where]
    )
    seen = observe(script, tmp_path, steps=0, launcher=torchrun(2), environment=machine(2, ALL))
    assert seen.ending.exit_code == 1
    result = seen.result()
    assert result.outcome is Outcome.CRASHED
    if where == "error":
        assert result.detail == "rank 1: AssertionError: it fails here"
    elif where == "sizes":
        assert "AllReduce of 4 float32" in seen.stderr
        assert "AllReduce of 5 float32" in seen.stderr
    elif where != "init":
        # Rank 0 says what it missed, unless the launcher was faster and ended it.
        assert re.search("rank 1|ranks 0, 1 ended without", result.detail), result.detail
    assert not _others(tmp_path)


SPAWNED = """
import os, sys, torch, torch.distributed as dist, torch.multiprocessing as mp

def work(rank, world, store):
    torch.zeros(8, device="cuda")  # before anybody knows which rank this is
    dist.init_process_group("nccl", init_method=store, rank=rank, world_size=world)
    total = torch.ones(1 << 20, device="cuda")
    dist.all_reduce(total)
    said = [None] * world
    dist.all_gather_object(said, rank)
    print("ran", rank, "heard", said[0], said[3], flush=True)

if __name__ == "__main__":
    mp.spawn(work, (4, sys.argv[1]), nprocs=4)
"""


@pytest.mark.slow  # a rank that says itself which it is: test_stores_groups_and_meshes...
def test_spawned_processes_that_no_launcher_told_their_rank(tmp_path: Path) -> None:
    script = tmp_path / "spawns.py"
    script.write_text(SPAWNED)
    seen = observe(script, tmp_path, f"file://{tmp_path}/store", steps=0, environment=machine(4, ENDS))
    ran = sorted(re.findall(r"ran \d heard \d \d", seen.stdout))
    assert ran == ["ran 0 heard 0 3", "ran 3 heard 0 3"], seen.stderr[-3000:]
    result = seen.result()
    assert (result.world, sorted(each.rank for each in result.processes)) == (4, [0, 3])
    assert result.outcome is Outcome.COMPLETED
