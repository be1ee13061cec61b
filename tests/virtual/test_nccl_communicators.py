"""Communicators of communicators, of several cards in one process, of ranks that are not all there."""

from __future__ import annotations

from pathlib import Path

import pytest
from rank_calls import Ranks
from virtual_calls import call

#: What each knows of the others: the ranks whose number arrives, in the communicator's order.
GATHER = """
seen = memory(8)
count, place = c_int(), c_int()
gpu.ncclCommCount(made, byref(count)); gpu.ncclCommUserRank(made, byref(place))
result = gpu.ncclAllGather(holding(bytes([rank])), seen, c_size_t(1), 1, made, None)
"""
SAYS = "[result, count.value, place.value, content(seen, count.value)]"


def test_a_split_groups_those_of_a_colour_by_their_key(tmp_path: Path) -> None:
    with Ranks(tmp_path, 4) as ranks:
        split = "made = c_void_p(); comm = joined('split', size, rank); "
        found = ranks.all(
            f"{split}gpu.ncclCommSplit(comm, rank % 2, -rank, byref(made), None)\n{GATHER}", SAYS
        )
        assert found == [
            [0, 2, 1, "0200"],
            [0, 2, 1, "0301"],
            [0, 2, 0, "0200"],
            [0, 2, 0, "0301"],
        ]
        # Twice of the same: another communicator. One of them takes no part.
        again = "made = c_void_p(); colour = -1 if rank == 1 else 7; "
        ranks.all(f"{again}gpu.ncclCommSplit(comm, colour, rank, byref(made), None)", "bool(made)")
        ranks.processes.pop(1).kill()
        assert ranks.all(GATHER, SAYS) == [[0, 3, place, "000203"] for place in range(3)]


def test_registered_colours_wait_for_nobody(tmp_path: Path) -> None:
    """Python says who they are: of four ranks two run, in the same half."""
    with Ranks(tmp_path, 4, here=(0, 2), NANOCHECK_RUN_RANKS="0,2") as ranks:
        found = ranks.all(
            "comm = joined('halves', size, rank); made = c_void_p(); half = rank % 2 * 10 + 5\n"
            "gpu.nanocheck_nccl_split_members(half, 2, (c_int * 2)(rank % 2, rank % 2 + 2))\n"
            f"gpu.ncclCommSplit(comm, half, rank // 2, byref(made), None)\n{GATHER}",
            SAYS,
        )
        assert found == [[0, 2, 0, "0002"], [0, 2, 1, "0002"]]


def test_a_shrunk_communicator_goes_on_without_the_dead(tmp_path: Path) -> None:
    with Ranks(tmp_path, 3) as ranks:
        ranks.all("comm = joined('shrink', size, rank)")
        ranks.processes.pop(1).kill()
        shrink = "made = c_void_p(); gpu.ncclCommShrink(comm, (c_int * 1)(1), 1, byref(made), None, 0)"
        assert ranks.all(f"{shrink}\n{GATHER}", SAYS) == [[0, 2, 0, "0002"], [0, 2, 1, "0002"]]


@pytest.mark.parametrize("said", [False, True])
def test_absent_ranks_give_what_this_rank_gives(said: bool, tmp_path: Path) -> None:
    """Of four ranks 1 and 3 run. Of a group that is not the world somebody must say who they are."""
    with Ranks(tmp_path, 4, here=(1, 3), NANOCHECK_RUN_RANKS="1,3") as ranks:
        world = ranks.all(
            "made = comm = joined('world', 4, rank)\n"
            f"{GATHER}total = holding(bytes([rank]))\n"
            "gpu.ncclAllReduce(total, total, c_size_t(1), 1, 0, comm, None)",
            "[content(seen, 4), content(total, 1)]",
        )
        assert world == [["01010103", "06"], ["03010303", "0a"]]
        tell = "gpu.nanocheck_nccl_members(byref(Id(b'pair')), 2, (c_int * 2)(3, 1))\n" if said else ""
        pair = ranks.all(f"{tell}made = joined('pair', 2, int(rank == 1))\n{GATHER}", "content(seen, 2)")
        assert pair == (["0301", "0301"] if said else ["0101", "0303"])
        root = ranks.all(
            "at = holding(b'!!'); gpu.ncclBroadcast(at, at, c_size_t(2), 1, 2, comm, None)", "content(at, 2)"
        )
        assert root == [None, None]  # what an absent root says nobody knows
        peer = ranks.all("gpu.ncclRecv(at, c_size_t(2), 1, 0, comm, None)", "content(at, 2)")
        assert peer == [None, None]


def test_cards_of_one_process_exchange_within_a_group() -> None:
    """``torch.cuda.nccl`` and ``DataParallel``: one thread calls for each card in turn."""
    assert (
        call("""
        comms, at = (c_void_p * 3)(), [c_void_p() for _ in range(3)]
        assert gpu.ncclCommInitAll(comms, 3, None) == 0
        for number, each in enumerate(at):
            gpu.cudaMalloc(byref(each), c_size_t(4))
            gpu.cudaMemcpy(each, bytes([number + 1] * 4), c_size_t(4), 1)
        gpu.ncclGroupStart()
        for comm, each in zip(comms, at):
            gpu.ncclAllReduce(each, each, c_size_t(4), 1, 0, c_void_p(comm), None)
        print(gpu.ncclGroupEnd(), [string_at(each.value, 4).hex() for each in at])
        gpu.ncclGroupStart()
        for number, comm in enumerate(comms):
            if number == 0: gpu.ncclSend(at[0], c_size_t(4), 1, 2, c_void_p(comm), None)
            if number == 2: gpu.ncclRecv(at[2], c_size_t(4), 1, 0, c_void_p(comm), None)
        print(gpu.ncclGroupEnd(), [gpu.ncclCommDestroy(c_void_p(comm)) for comm in comms])
    """)
        == "0 ['06060606', '06060606', '06060606'] 0 [0, 0, 0]"
    )


def test_the_last_one_to_leave_takes_its_files_away(tmp_path: Path) -> None:
    with Ranks(tmp_path, 2) as ranks:
        ranks.all(
            "comm = joined('files', size, rank); at = memory(4)\n"
            "if rank == 0: gpu.ncclSend(at, c_size_t(4), 1, 1, comm, None)\n"
            "if rank == 1: gpu.ncclRecv(at, c_size_t(4), 1, 0, comm, None)"
        )
        assert len(ranks.files()) == 2
        ranks.ask(0, "gpu.ncclCommDestroy(comm)")
        ranks.answer(0)
        assert len(ranks.files()) == 2
        ranks.ask(1, "gpu.ncclCommAbort(comm)")
        ranks.answer(1)
        assert ranks.files() == []


def test_outside_of_a_run_nobody_else_is_there(tmp_path: Path) -> None:
    """A machine without nanocheck's folder: the others' parts are this rank's own, whatever the size."""
    assert (
        call("""
        import os; os.environ.pop("NANOCHECK_MACHINE", None)
        class Id(Structure): _fields_ = [("internal", c_char * 128)]
        comm, at = c_void_p(), c_void_p()
        gpu.ncclCommInitRank(byref(comm), 3, Id(b"alone"), 1); gpu.cudaMalloc(byref(at), c_size_t(4))
        gpu.cudaMemcpy(at, bytes([5]), c_size_t(1), 1)
        print(gpu.ncclAllReduce(at, at, c_size_t(1), 1, 0, comm, None), string_at(at.value, 1).hex())
    """)
        == "0 0f"
    )


@pytest.mark.parametrize("own", [True, False])
def test_a_rank_that_no_launcher_named_says_itself_who_it_is(own: bool, tmp_path: Path) -> None:
    """``RANK`` is a node's number to some scripts, and what a rank's parent said is not about the rank."""
    with Ranks(tmp_path, 4, here=(1, 3), NANOCHECK_RUN_RANKS="1,3") as ranks:
        process = "os.getpid()" if own else "os.getppid()"
        found = ranks.all(
            "os.environ.update(RANK='0', WORLD_SIZE='1')\n"
            f"os.environ['NANOCHECK_PLACE'] = f'{{{process}}} {{rank}} 4'\n"
            f"made = joined('world', 4, rank)\n{GATHER}",
            "content(seen, 4)",
        )
        assert found == (["01010103", "03010303"] if own else ["01010101", "03030303"])
