"""What is said of the ranks of a run, and of those that were left out."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up import DEVICE, result

from nanocheck.core.device import CardsAlike
from nanocheck.core.ranks import assumption, doubt, imbalance, left_out, spans
from nanocheck.core.result import Group, ObservationEnd, Outcome, OutOfMemory, ProcessMemory, RunResult
from nanocheck.core.units import GIB, MIB
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, FITS, Kind, classify

ROOM = DEVICE.capacity_bytes - DEVICE.context_most_bytes
ORDER = [Kind.SAFE, Kind.TIGHT, Kind.OOM]


def run(needs: dict[int, int], world: int, cards: int | None = None, parameters: int = 40) -> RunResult:
    """Rank -> bytes it reserved, each on a card of its own unless told otherwise."""
    (one,) = result().processes
    return msgspec.structs.replace(
        result(),
        config=None,
        command=("torchrun",),
        world=world,
        processes=tuple(
            msgspec.structs.replace(
                one,
                pid=100 + rank,
                rank=rank,
                card=rank % (cards or world),
                reserved_bytes=size,
                allocated_bytes=size,
                process_bytes=size + DEVICE.context_bytes,
                groups=(
                    Group(group="parameters", bytes=MIB, count=parameters),
                    Group(group="activations", bytes=size - MIB, count=1),
                ),
            )
            for rank, size in sorted(needs.items(), key=lambda each: -each[1])
        ),
    )


NEEDS = st.integers(MIB, 13 * GIB)


@given(st.lists(NEEDS, min_size=2, max_size=9))
def test_the_machines_verdict_is_its_worst_ranks(sizes: list[int]) -> None:
    verdict = classify(run(dict(enumerate(sizes)), len(sizes)))
    assert [each.rank for each in verdict.ranks] == list(range(len(sizes)))
    assert verdict.kind == max((each.kind for each in verdict.ranks), key=ORDER.index)
    assert verdict.process_bytes == max(sizes) + DEVICE.context_bytes
    for each, size in zip(verdict.ranks, sizes, strict=True):
        alone = classify(run({0: size}, 1))
        assert (each.kind, alone.ranks) == (alone.kind, ()), "one rank is no table"


@given(
    st.lists(st.tuples(NEEDS, st.integers(0, 64 * MIB)), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_machines_sentence_is_that_of_its_fullest_card(
    needs: list[tuple[int, int]], order: Random
) -> None:
    """Of equal ones of either, in whatever order the processes are; ``needs``: by PyTorch, and beside it."""
    found = run({rank: size for rank, (size, _) in enumerate(needs)}, len(needs))
    beside = {rank: more for rank, (_, more) in enumerate(needs)}
    processes = [
        msgspec.structs.replace(each, process_bytes=each.process_bytes + beside[each.rank or 0])
        for each in found.processes
    ]
    order.shuffle(processes)
    processes.sort(key=lambda each: -each.reserved_bytes)
    said = classify(msgspec.structs.replace(found, processes=tuple(processes))).sentence
    most = max(each.process_bytes for each in processes)
    alone = [
        msgspec.structs.replace(found, world=1, processes=(each,))
        for each in processes
        if each.process_bytes == most
    ]
    assert said in {classify(each).sentence for each in alone}


@given(st.lists(st.integers(MIB, 11 * GIB), min_size=2, max_size=6), st.integers(1, 3))
def test_ranks_that_share_a_card_have_its_verdict(sizes: list[int], cards: int) -> None:
    verdict = classify(run(dict(enumerate(sizes)), len(sizes), cards))
    assert verdict.kind == max((each.kind for each in verdict.ranks), key=ORDER.index)
    of_card: dict[int, set[Kind]] = {}
    for each in verdict.ranks:
        of_card.setdefault(each.card, set()).add(each.kind)
    assert all(len(kinds) == 1 for kinds in of_card.values())
    shares = [[size for rank, size in enumerate(sizes) if rank % cards == card] for card in range(cards)]
    worst = max(sum(share) + len(share) * DEVICE.context_bytes for share in shares)
    assert (verdict.kind is Kind.OOM) == (worst > DEVICE.capacity_bytes)


@given(
    world=st.integers(2, 64),
    chosen=st.sets(st.integers(0, 63), min_size=1, max_size=5),
    sizes=st.lists(NEEDS, min_size=5, max_size=5),
    margin=st.integers(0, GIB),
)
def test_safe_is_said_of_ranks_that_did_not_run_only_where_the_ends_agree(
    world: int, chosen: set[int], sizes: list[int], margin: int
) -> None:
    needs = dict(zip(sorted(chosen), sizes, strict=False))
    assume(max(needs) < world)
    found = run(needs, world)
    kind = classify(found, margin).kind
    absent = left_out(found)
    assert set(absent) == set(range(world)) - set(needs)
    assert bool(assumption(found)) == bool(absent)
    ends = {0, world - 1} <= set(needs)
    apart = max(needs.values()) - min(needs.values())
    if absent and (not ends or apart > margin):
        assert kind in (Kind.PARTIAL, Kind.OOM)
        assert doubt(found, margin)
    else:
        assert kind is not Kind.PARTIAL
        assert kind == classify(msgspec.structs.replace(found, world=1), margin).kind


@given(st.integers(0, GIB), st.integers(0, 2))
def test_the_ends_may_differ_by_the_margin_and_no_more(margin: int, beyond: int) -> None:
    found = run({0: 2 * GIB + margin + beyond, 7: 2 * GIB}, 8)
    assert bool(doubt(found, margin)) == (beyond > 0)
    assert classify(found, margin).kind is (Kind.PARTIAL if beyond else Kind.SAFE)


@given(st.integers(MIB, 9 * GIB), st.integers(MIB, 9 * GIB))
def test_a_mixed_machine_doubts_as_one_of_equal_cards_does(first: int, last: int) -> None:
    found = run({0: first, 3: last}, 4)
    mixed = (CardsAlike(cards=3, device=DEVICE), CardsAlike(cards=1, device=DEVICE))
    kinds = [classify(each).kind for each in (found, msgspec.structs.replace(found, machine=mixed))]
    assert kinds[0] == kinds[1]


def test_ranks_with_different_parameters_are_not_symmetric() -> None:
    first, last = run({0: GIB}, 8), run({7: GIB}, 8, parameters=41)
    both = msgspec.structs.replace(first, processes=(*first.processes, *last.processes))
    verdict = classify(both)
    assert verdict.kind is Kind.PARTIAL
    assert verdict.fits
    assert "different parameters" in verdict.sentence
    assert "--ranks all" in verdict.sentence
    assert classify(run({0: GIB, 7: GIB}, 8)).kind is Kind.SAFE
    whole = msgspec.structs.replace(both, world=2)
    whole = msgspec.structs.replace(
        whole,
        processes=tuple(
            msgspec.structs.replace(each, rank=min(each.rank or 0, 1)) for each in both.processes
        ),
    )
    assert classify(whole).kind is Kind.SAFE, "all of them ran: nothing is taken for granted"


@given(st.lists(st.tuples(NEEDS, NEEDS), min_size=1, max_size=9))
def test_imbalance_is_the_fullest_less_the_emptiest(sizes: list[tuple[int, int]]) -> None:
    made = [
        ProcessMemory(
            rank=rank,
            process_bytes=first + second,
            groups=(Group(group="activations", bytes=first), Group(group="gradients", bytes=second)),
        )
        for rank, (first, second) in enumerate(sizes)
    ]
    found = imbalance(made)
    totals = [first + second for first, second in sizes]
    if len(set(totals)) < 2:
        assert found is None
        return
    assert found is not None
    assert found.more_bytes == max(totals) - min(totals)
    high, low = found.fullest.groups, found.emptiest.groups
    assert found.group_bytes == max(a.bytes - b.bytes for a, b in zip(high, low, strict=True)) > 0
    assert 2 * found.group_bytes >= found.more_bytes, "of two groups one has half of it"


@given(st.sets(st.integers(0, 40), min_size=1))
def test_numbers_of_ranks_are_told_whole(numbers: set[int]) -> None:
    _, _, words = spans(sorted(numbers)).partition(" ")
    found: set[int] = set()
    for part in words.replace(" and ", ", ").split(", "):
        first, _, last = part.partition(" to ")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == numbers
    assert spans(sorted(numbers)).startswith("ranks ") == (len(numbers) > 1)


def test_a_rank_that_ran_out_is_told_from_those_it_took_along() -> None:
    oom = OutOfMemory(phase="forward", step=0, requested_bytes=GIB, exact=True)
    ran = run({0: 2 * GIB, 1: GIB}, 2)
    first, second = ran.processes
    lost = msgspec.structs.replace(
        ran,
        outcome=Outcome.OOM,
        processes=(
            msgspec.structs.replace(first, oom=oom, ended=ObservationEnd.FAILED),
            msgspec.structs.replace(second, ended=ObservationEnd.LOST),
        ),
    )
    verdict = classify(lost, DEFAULT_MARGIN_BYTES)
    assert [each.kind for each in verdict.ranks] == [Kind.OOM, Kind.INCOMPLETE]
    assert verdict.kind not in FITS
