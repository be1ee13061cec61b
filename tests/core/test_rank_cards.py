"""Ranks that were left out, on the cards that they would have used."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up import DEVICE, result

from nanocheck.core.device import CardsAlike, Device
from nanocheck.core.rank_cards import cards_of_absent, doubt, is_absent, stand_ins
from nanocheck.core.result import ProcessMemory, RunResult
from nanocheck.core.units import GIB, MIB
from nanocheck.core.verdict import Kind, classify

Rule = Callable[[int], int]


def run(need: int, cards_of: dict[int, int], world: int, *kinds: tuple[int, Device]) -> RunResult:
    """Ranks that each need so many bytes, by the card that each has, on a machine of so many of each kind."""
    (one,) = result().processes
    machine = tuple(CardsAlike(cards=cards, device=device) for cards, device in kinds)
    return msgspec.structs.replace(
        result(),
        config=None,
        command=("torchrun",),
        world=world,
        device=kinds[0][1],
        machine=machine if sum(cards for cards, _ in kinds) > 1 else (),
        processes=tuple(
            msgspec.structs.replace(
                one,
                pid=100 + rank,
                rank=rank,
                card=card,
                reserved_bytes=need,
                allocated_bytes=need,
                process_bytes=need + DEVICE.context_bytes,
            )
            for rank, card in cards_of.items()
        ),
    )


def of(found: RunResult, *ranks: int) -> RunResult:
    """The same, where only these ran."""
    there: tuple[ProcessMemory, ...] = tuple(each for each in found.processes if each.rank in ranks)
    return msgspec.structs.replace(found, processes=there)


@given(
    nodes=st.integers(1, 3),
    cards=st.integers(1, 8),
    per_node=st.integers(1, 12),
    how=st.sampled_from(["in turn", "neighbours", "all on one", "from a later one on"]),
    need=st.integers(MIB, 4 * GIB),
)
def test_the_first_and_the_last_say_what_all_would(
    nodes: int, cards: int, per_node: int, how: str, need: int
) -> None:
    """Where all need the same: the same verdict and the same bytes, or that the cards are not known."""
    world = nodes * per_node
    assume(world > 2)
    each = -(-per_node // cards)
    later = max(0, cards - per_node)
    rules: dict[str, Rule] = {
        "in turn": lambda at: at % cards,
        "neighbours": lambda at: at // each,
        "all on one": lambda at: 0,
        "from a later one on": lambda at: later + at if later + at < cards else at % cards,
    }
    places = {rank: rank // per_node * cards + rules[how](rank % per_node) for rank in range(world)}
    every = run(need, places, world, (cards, DEVICE))
    some = of(every, 0, world - 1)
    found, whole = classify(some), classify(every)
    known = cards_of_absent(some)
    if known:
        assert (found.kind, found.process_bytes) == (whole.kind, whole.process_bytes)
        assert not doubt(some)
        absent = [known[rank] for rank in range(1, world - 1)]
        there = [places[0], places[world - 1]]
        assert sorted([*absent, *there]) == sorted(places.values())
    else:
        assert found.kind in (Kind.PARTIAL, Kind.OOM)
        assert "card" in doubt(some)
    if how == "in turn" and per_node <= cards:
        assert known, "each has its own card: nothing is plainer"


def test_ranks_that_share_a_card_are_added_to_those_that_ran() -> None:
    """Four ranks on two cards of 11,874 MiB: two of 4 GiB fit one card, two of 8 do not."""
    for need, kind in ((4 * GIB, Kind.SAFE), (8 * GIB, Kind.OOM)):
        some = run(need, {0: 0, 3: 1}, 4, (2, DEVICE))
        verdict = classify(some)
        assert verdict.kind is kind
        assert [each.kind for each in verdict.ranks] == [kind, kind]
        assert verdict.process_bytes == 2 * (need + DEVICE.context_bytes)
        assert "2 processes together (1 of them ranks that were not run)" in verdict.sentence
        assert [each.rank for each in stand_ins(some) if is_absent(each)] == [1, 2]


def test_a_smaller_card_that_no_rank_ran_on_is_asked_too() -> None:
    """Ranks 0 and 3 have large cards; rank 2, which did not run, would have a small one."""
    large = msgspec.structs.replace(
        DEVICE, gpu="large", name="Large", capacity_bytes=4 * DEVICE.capacity_bytes
    )
    some = run(12 * GIB, {0: 0, 3: 3}, 4, (2, large), (1, DEVICE), (1, large))
    verdict = classify(some)
    assert verdict.kind is Kind.OOM
    assert "card 2" in verdict.sentence
    assert "rank 2 would take there" in verdict.sentence
    assert classify(run(12 * GIB, {0: 0, 3: 3}, 4, (4, large))).kind is Kind.SAFE


def test_all_on_one_card_are_added_up() -> None:
    verdict = classify(run(GIB, {0: 3, 7: 3}, 8, (8, DEVICE)))
    assert verdict.kind is Kind.SAFE
    assert verdict.process_bytes == 8 * (GIB + DEVICE.context_bytes)


def test_cards_that_nothing_explains_are_not_safe() -> None:
    verdict = classify(run(GIB, {0: 1, 7: 0}, 8, (8, DEVICE)))
    assert verdict.kind is Kind.PARTIAL
    assert "which cards ranks 1 to 6 would use is not known" in verdict.sentence
    assert "--ranks all" in verdict.sentence
