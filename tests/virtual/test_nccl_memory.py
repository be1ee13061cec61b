"""NCCL's own memory on the virtual card: taken while a communicator's connections are there, and refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_calls import Ranks

from nanocheck.core import nccl_memory
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.process_memory import Communicators
from nanocheck.core.units import MIB
from nanocheck.virtual.card import card_text

KINDS = ["h100", "a100-80gb", "v100-32gb", "rtx4090"]
_SAY = """
gpu.nanocheck_card_process.restype = c_size_t
taken, asked = [], c_size_t()
def used(card):
    return gpu.nanocheck_card_process(card)
def free():
    left, total = c_size_t(), c_size_t()
    assert gpu.cudaMemGetInfo(byref(left), byref(total)) == 0
    return left.value
def reduced(comm):
    at = memory(4)
    result = gpu.ncclAllReduce(at, at, c_size_t(1), 7, 0, comm, None)
    gpu.cudaFree(at)
    return result
def looks(card, several):  # free and used after each of: made, used once, used twice, destroyed
    global taken
    taken = []
    gpu.cudaSetDevice(card)
    full, idle = free(), used(card)
    def look():
        taken.append([full - free(), used(card) - idle])
    comms = []
    for name, ranks in several:
        comms.append(joined(name, ranks, 0))
        look()
    for again in range(2):
        for each in comms:
            assert reduced(each) == 0, said()
            look()
    for each in comms:
        gpu.ncclCommDestroy(each)
        look()
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    """Rank 0, whose peers do not run, on a machine with a card of each kind."""
    machine = CardQuestion(gpu=",".join(f"1x{each}" for each in KINDS)).select().target
    cards = str(len(KINDS))
    environment = {"NANOCHECK_CARD": card_text(machine), "NANOCHECK_CARDS": cards, "NANOCHECK_RUN_RANKS": "0"}
    with Ranks(
        tmp_path_factory.mktemp("nccl"), 2, here=[0], CUDA_VISIBLE_DEVICES="0,1,2,3", **environment
    ) as ranks:
        ranks.ask(0, _SAY)
        ranks.answer(0)
        yield ranks


def said(ranks: Ranks, do: str, say: str) -> list[list[int]]:
    ranks.ask(0, do, say)
    found: list[list[int]] = ranks.answer(0)
    return found


#: What an earlier example set is gone.
UNSET = f"os.environ.update({dict.fromkeys(nccl_memory.VARIABLES, '')!r})\n"
SETTINGS = st.dictionaries(
    st.sampled_from(nccl_memory.VARIABLES), st.from_regex(r"[0-9]{0,9}|-1|x", fullmatch=True), max_size=3
)


@given(st.sampled_from(KINDS), st.lists(st.integers(1, 600), min_size=1, max_size=3), SETTINGS)
def test_a_card_has_less_from_the_first_collective_to_the_end_by_the_least_of_the_range(
    alone: Ranks, gpu: str, sizes: list[int], settings: dict[str, str]
) -> None:
    several = [(f"{index} of {sizes}", ranks) for index, ranks in enumerate(sizes)]
    do = f"{UNSET}os.environ.update({settings!r}); looks({KINDS.index(gpu)}, {several!r})"
    looks = said(alone, do, "taken")
    each = [
        nccl_memory.taken_bytes(gpu, [Communicators(ranks=ranks, count=1)] if ranks > 1 else [], settings)[0]
        for ranks in sizes
    ]
    grown = [sum(each[: index + 1]) for index in range(len(each))]
    expected = [0] * len(each) + grown + [grown[-1]] * len(each) + [grown[-1] - size for size in grown]
    assert looks == [[size, size] for size in expected]


def test_connections_that_are_made_at_once_are_there_before_the_first_collective(alone: Ranks) -> None:
    name = "NCCL_RUNTIME_CONNECT"
    do = f"{UNSET}os.environ[{name!r}] = '0'; looks(0, [('at once', 8)]); os.environ.pop({name!r})"
    assert said(alone, do, "taken") == [[192 * MIB] * 2] * 3 + [[0, 0]]


def test_a_full_card_refuses_them_until_there_is_room(alone: Ranks) -> None:
    """As ``cudaMalloc`` within NCCL does: an error of CUDA's, and what it was."""
    do = """
gpu.cudaSetDevice(1)
full = free()
filling, comm = memory(full - (200 << 20)), joined("full", 4, 0)
room = free() - (2 << 20)  # less what is reduced
result, why = reduced(comm), said()
times = gpu.nanocheck_nccl_refused(1, byref(asked), byref(left := c_size_t()))
gpu.cudaFree(filling)
later = reduced(comm)
gpu.ncclCommDestroy(comm)
"""
    figures = "[result, times, asked.value, left.value - room, later, full - free(), 'out of memory' in why]"
    assert said(alone, UNSET + do, figures) == [1, 1, 288 * MIB, 0, 0, 0, True]
