"""A rank that ends, is killed, never comes, or calls something else is named, and nobody waits for ever."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from rank_calls import REMOTE, SYSTEM, USAGE, Ranks

#: A collective whose values hang on every rank.
GATHER = "gpu.ncclAllGather(holding(bytes(8)), memory(24), c_size_t(2), 7, comm, None)"
JOIN = "comm = joined('faults', size, rank)"


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
        ("os.abort()", "was killed"),
        ("sys.exit()", "ended"),
        ("gpu.ncclCommDestroy(comm)", "destroyed its communicator"),
    ],
)
def test_a_rank_that_ends_is_noticed_and_not_waited_for(ends: str, said: str, tmp_path: Path) -> None:
    """Who waits until patience ends says that it "did not come"."""
    with Ranks(tmp_path, 3) as ranks:
        ranks.all(f"{JOIN}; {GATHER}")
        for rank in (0, 1):
            ranks.ask(rank, f"result = {GATHER}", "[result, said()]")
        time.sleep(0.3)  # they wait
        ranks.ask(2, ends)
        found = [ranks.answer(rank) for rank in (0, 1)]
    text = f"rank 2 {said} before collective 2 (AllGather of 2 float32) of a group of 3"
    assert found == [[REMOTE, text]] * 2


def test_a_rank_that_was_killed_is_noticed_by_one_that_waits_for_nobody(tmp_path: Path) -> None:
    """Unknown gradients need no other rank; still, none goes on beside a dead one."""
    with Ranks(tmp_path, 2) as ranks:
        ranks.all(JOIN)
        ranks.processes[1].send_signal(signal.SIGKILL)
        ranks.ask(
            0,
            "given = holding(bytes(64), known=False); result = 0\n"
            "for _ in range(1000):\n"
            "    result = gpu.ncclAllReduce(given, given, c_size_t(16), 7, 0, comm, None)\n"
            "    if result: break\n"
            "    time.sleep(.05)",
            "[result, said()]",
        )
        result, said = ranks.answer(0)
    assert result == REMOTE
    assert said.startswith("rank 1 was killed before collective ")
    assert said.endswith(" (AllReduce of 16 float32, sum) of a group of 2")


def test_a_rank_that_ends_before_it_joins_is_missed(tmp_path: Path) -> None:
    with Ranks(tmp_path, 2) as ranks:
        ranks.answer_after_start(1)
        ranks.processes[1].kill()
        ranks.processes[1].wait()
        ranks.ask(0, f"{JOIN}; result = {GATHER}", "[result, said()]")
        assert ranks.answer(0) == [
            REMOTE,
            "rank 1 ended before collective 1 (AllGather of 2 float32) of a group of 2",
        ]


@pytest.mark.parametrize("comes", [False, True])
def test_a_rank_that_is_not_heard_of_is_given_up(comes: bool, tmp_path: Path) -> None:
    """Whether its process was never started, or sleeps before the collective."""
    with Ranks(tmp_path, 2, here=range(1 + comes), NANOCHECK_RANK_WAIT_S="0.6") as ranks:
        ranks.all(JOIN)
        ranks.ask(0, f"result = {GATHER}", "[result, said()]")
        assert ranks.answer(0) == [
            SYSTEM,
            "rank 1 did not come to collective 1 (AllGather of 2 float32) of a group of 2 "
            "(nothing was heard of it for 0.6 s)",
        ]


def test_a_rank_that_works_is_waited_for(tmp_path: Path) -> None:
    """It computes for longer than anybody's patience; rank 0 waits for one that waits for it."""
    with Ranks(tmp_path, 3, NANOCHECK_RANK_WAIT_S="2") as ranks:
        ranks.all(JOIN)
        works = "since = time.monotonic()\nwhile time.monotonic() - since < 3.5: pass\n"
        receive = "result = gpu.ncclRecv(memory(8), c_size_t(8), 1, {}, comm, None)\n"
        send = "result |= gpu.ncclSend(holding(bytes(8)), c_size_t(8), 1, {}, comm, None)"
        ranks.ask(0, receive.format(1), "[result, said()]")
        ranks.ask(1, receive.format(2) + send.format(0), "[result, said()]")
        ranks.ask(2, works + "result = 0\n" + send.format(1), "[result, said()]")
        assert [ranks.answer(rank) for rank in range(3)] == [[0, ""]] * 3


def test_ranks_that_wait_for_each_other_end(tmp_path: Path) -> None:
    with Ranks(tmp_path, 2, NANOCHECK_RANK_WAIT_S="0.6") as ranks:
        found = ranks.all(
            f"{JOIN}; result = gpu.ncclRecv(memory(8), c_size_t(8), 1, 1 - rank, comm, None)",
            "[result, said()]",
        )
    assert [result for result, _ in found] == [SYSTEM] * 2
    assert found[0][1].startswith("rank 1 did not come to sending message 1 (8 bytes)")


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (
            (
                "ncclAllReduce(at, at, c_size_t(4), 7, 0, comm, None)",
                "ncclAllReduce(at, at, c_size_t(6), 7, 0, comm, None)",
            ),
            "collective 1 of a group of 2 is AllReduce of 6 float32, sum on rank 1 "
            "and AllReduce of 4 float32, sum on rank 0",
        ),
        (
            (
                "ncclAllReduce(at, at, c_size_t(4), 7, 2, comm, None)",
                "ncclAllGather(at, at, c_size_t(4), 7, comm, None)",
            ),
            "collective 1 of a group of 2 is AllGather of 4 float32 on rank 1 "
            "and AllReduce of 4 float32, max on rank 0",
        ),
        (
            (
                "ncclBroadcast(at, at, c_size_t(4), 7, 0, comm, None)",
                "ncclBroadcast(at, at, c_size_t(4), 2, 1, comm, None)",
            ),
            "collective 1 of a group of 2 is Broadcast of 4 int32, root 1 on rank 1 "
            "and Broadcast of 4 float32, root 0 on rank 0",
        ),
        (
            ("ncclSend(at, c_size_t(4), 7, 1, comm, None)", "ncclRecv(at, c_size_t(5), 7, 0, comm, None)"),
            "message 1 of a group of 2 is 20 bytes on rank 1 and 16 bytes on rank 0",
        ),
    ],
)
def test_ranks_that_call_different_things_are_told_both(
    calls: tuple[str, str], said: str, tmp_path: Path
) -> None:
    """Also where nobody waits: of two ranks the later one sees what the earlier one said."""
    with Ranks(tmp_path, 2) as ranks:
        for rank, call in enumerate(calls):
            ranks.ask(
                rank, f"{JOIN}; at = holding(bytes(64), known=False); result = gpu.{call}", "[result, said()]"
            )
            if rank == 0 and "Gather" not in call:
                assert ranks.answer(0) == [0, ""]
        assert ranks.answer(1) == [USAGE, said]


def test_a_forked_child_says_nothing_to_the_other_ranks(tmp_path: Path) -> None:
    """Data loaders' workers: neither their end nor what they call is the rank's."""
    with Ranks(tmp_path, 2) as ranks:
        ranks.all(f"{JOIN}; {GATHER}")
        ranks.all(
            "child = os.fork()\n"
            f"if not child: {GATHER}; gpu.ncclCommDestroy(comm); os.kill(os.getpid(), 9)\n"
            "os.waitpid(child, 0)"
        )
        given = "given = holding(bytes([rank + 1])); taken = memory(2)"
        call = "gpu.ncclAllGather(given, taken, c_size_t(1), 1, comm, None)"
        assert ranks.all(f"{given}; result = {call}", "[result, content(taken, 2)]") == [[0, "0102"]] * 2
