"""The largest safe batch of a search is what runs on the card itself say, and it takes few runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import peaks, result
from table_world import Need, World, card

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.matrix import Entry
from nanocheck.core.result import RunResult
from nanocheck.core.table import How, Largest, LargestBatches, Table, dumps, load
from nanocheck.core.units import MIB
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind, classify
from nanocheck.tables.filling import Ask
from nanocheck.tables.largest import joined, search
from nanocheck.tables.making import make
from nanocheck.tables.proving_largest import prove_largest

CONFIGS = [StepConfig(batch=each) for each in (1, 4, 8)]

cards = st.lists(
    st.tuples(st.integers(20, 190), st.integers(2_000, 60_000), st.sampled_from([(8, 6), (8, 9)])),
    min_size=1,
    max_size=12,
)


def some_needs(*falls: int) -> st.SearchStrategy[Need]:
    """MiB by batch and multiprocessors: lines, staircases of multiprocessors, and what goes down."""
    return st.tuples(
        st.integers(100, 3_000), st.integers(5, 1_500), st.sampled_from(falls), st.sampled_from([0, 40])
    ).map(
        lambda of: (
            lambda config, sms: (
                of[0] + of[1] * config.batch - of[2] * (config.batch % 3) + of[3] * (sms // 50)
            )
        )
    )


needs, rising = some_needs(0, 0, 300), some_needs(0)


def table_of(world: World, targets: list[Target], configs: list[StepConfig] = CONFIGS) -> Table:
    entries = [Entry(config=each, group="a group", why="a reason") for each in configs]
    return make(entries, targets, world)[0]


def cards_of(found: list[tuple[int, int, tuple[int, int]]]) -> list[Target]:
    return [card(f"card-{number}", *each) for number, each in enumerate(found)]


def kind(need: Need, batch: int, target: Target) -> Kind:
    """What a run on the card says."""
    run = World(need).run(Ask(StepConfig(batch=batch), target))
    return classify(run, DEFAULT_MARGIN_BYTES).kind


@settings(max_examples=40)
@given(cards, needs, st.sampled_from([16, 4096]))
def test_it_is_safe_and_one_more_is_not(
    found: list[tuple[int, int, tuple[int, int]]], need: Need, most: int
) -> None:
    targets, world = cards_of(found), World(need)
    table = table_of(world, targets)
    before = len(world.asks)
    largest = search(table, targets, world, most=most)
    assert largest.complete
    assert set(largest.batches()) == {(table.settings[0].way, each.gpu.id) for each in targets}
    assert largest.runs.total == len(world.asks) - before
    for each, target in zip(largest.found, targets, strict=True):
        assert each.batch is not None
        assert each.gpu == target.gpu.id
        if each.batch:
            assert each.safe is not None
            assert kind(need, each.batch, target) is each.safe.kind is Kind.SAFE
            there = World(need).run(Ask(StepConfig(batch=each.batch), target)).main
            assert (each.safe.allocated_bytes, each.safe.reserved_bytes) == (
                there.allocated_bytes,
                there.reserved_bytes,
            )
        if each.beyond is None:
            assert each.batch == most
        else:
            assert each.beyond.batch == each.batch + 1
            said = kind(need, each.batch + 1, target)
            assert said is not Kind.SAFE
            assert each.beyond.kind in (None, said)
        for smaller in each.not_safe_below:
            assert smaller < each.batch
            assert kind(need, smaller, target) is not Kind.SAFE


@settings(max_examples=30)
@given(cards, rising)
def test_runs_of_every_card_itself_find_the_same_where_memory_only_rises(
    found: list[tuple[int, int, tuple[int, int]]], need: Need
) -> None:
    targets = cards_of(found)
    shared, each = World(need), World(need)
    derived = search(table_of(shared, targets), targets, shared, most=128)
    run = search(table_of(each, targets), targets, each, most=128, share=False)
    assert [one.batch for one in derived.found] == [one.batch for one in run.found]
    assert run.runs.with_room == 0


def test_cards_of_a_kind_share_the_runs_of_a_batch() -> None:
    """Thirty cards of one size: two of them are run, at the batch and at one more."""
    need: Need = lambda config, sms: 1_000 + 700 * config.batch  # noqa: E731
    targets = [card(f"card-{sms}", sms, 24_000) for sms in range(20, 170, 5)]
    world = World(need)
    table = table_of(world, targets)
    before = len(world.asks)
    largest = search(table, targets, world)
    asked = {(each.config.batch, each.target.gpu.sms) for each in world.asks[before:]}
    (batch,) = {each.batch for each in largest.found}
    assert asked == {(each, sms) for each in (batch, (batch or 0) + 1) for sms in (20, 165)}
    assert world.on_their_own_cards == []
    assert {each.safe.run_on for each in largest.found if each.safe} == {"card-20", "card-165"}


def test_what_the_table_says_is_not_run_again() -> None:
    need: Need = lambda config, sms: 1_000 * config.batch  # noqa: E731
    targets, world = [card("card", 46, 9_000)], World(need)
    table = table_of(world, targets, [StepConfig(batch=each) for each in (6, 7)])
    before = len(world.asks)
    largest = search(table, targets, world)
    (found,) = largest.found
    assert (found.batch, len(world.asks)) == (6, before)
    assert found.command == "nanocheck table --gpu card --run-all --set batch=6 --largest-batch"


def test_what_an_earlier_search_found_is_not_run_again() -> None:
    table, targets = a_search(lambda config, sms: 1_000 + 700 * config.batch, [(46, 24_000, (8, 9))])
    world = World(lambda config, sms: 10**6)
    again = search(table, targets, world)
    assert table.largest is not None
    assert (again.found, world.asks) == (table.largest.found, [])


def test_with_hardly_a_margin_the_card_itself_decides() -> None:
    """Within 64 MiB of its end a run with room does not say whether the card's own has to try again."""
    need: Need = lambda config, sms: 1_000 * config.batch  # noqa: E731
    target = card("card", 46, 5_000)
    exact = replace(target.gpu, context_most_bytes=target.gpu.context_bytes)
    usable = {"linux": exact.context_bytes + (3_750 + 20) * MIB}  # three of 1,250 MiB reserved, and 20 MiB
    edge = replace(target, gpu=replace(exact, usable_bytes=usable, usable_most_bytes=usable))
    world = World(need)
    entries = [Entry(config=StepConfig(batch=1), group="", why="")]
    table = make(entries, [edge], world, margin_bytes=0)[0]
    (found,) = search(table, [edge], world).found
    assert [each.config.batch for each in world.on_their_own_cards] == [3]
    assert found.safe is not None
    assert (found.batch, found.safe.how) == (3, How.RUN)


@pytest.mark.parametrize("change", [{"compile": "default"}, {"cycle": "whole"}])
def test_what_shares_no_run_is_searched_on_few_kinds_of_cards(change: dict[str, str]) -> None:
    need: Need = lambda config, sms: 1_000 + 700 * config.batch  # noqa: E731
    config = StepConfig(batch=4, **change)  # type: ignore[arg-type]
    targets = [card(f"card-{sms}", sms, 24_000) for sms in range(20, 70, 10)]
    world = World(need)
    table = table_of(world, targets, [config])
    many, few = search(table, targets, world), search(table, targets[:4], world)
    assert many.found == ()
    assert "5" in many.left_out[table.settings[0].way]
    assert {each.batch for each in few.found} == {25}
    assert not few.left_out


def test_no_answer_is_no_batch_of_nought() -> None:
    class Ends(World):
        def run(self, ask: Ask) -> RunResult:
            if ask.config.batch < 6:
                return super().run(ask)
            return result(ask.config, device=ask.target.device, outcome="crashed", peaks=peaks(2**20))

    targets = [card("card", 46, 24_000)]
    world = Ends(lambda config, sms: 1_000 + 500 * config.batch)
    (found,) = search(table_of(world, targets, [StepConfig(batch=2)]), targets, world).found
    assert found.batch is None
    assert found.reason.startswith("crashed at batch")
    none = World(lambda config, sms: 1)
    none.run = lambda ask: result(ask.config, device=ask.target.device, outcome="unsupported")  # type: ignore[method-assign]
    table = table_of(none, targets)
    before = len(none.asks)
    (found,) = search(table, targets, none).found
    assert (found.batch, len(none.asks)) == (None, before)
    assert found.reason.startswith("unsupported")


def a_search(need: Need, found: list[tuple[int, int, tuple[int, int]]]) -> tuple[Table, list[Target]]:
    targets, world = cards_of(found), World(need)
    table = table_of(world, targets)
    return msgspec.structs.replace(table, largest=search(table, targets, world)), targets


@settings(max_examples=20)
@given(cards, needs, st.integers(0, 9))
def test_a_proof_finds_nothing_where_the_search_is_right(
    found: list[tuple[int, int, tuple[int, int]]], need: Need, seed: int
) -> None:
    table, targets = a_search(need, found)
    assert table.largest is not None
    proof = prove_largest(
        table.largest,
        table.settings,
        targets,
        World(need),
        sample=5,
        seed=seed,
        margin_bytes=table.margin_bytes,
    )
    derived = [
        each
        for each in table.largest.found
        if How.DERIVED in {one.how for one in (each.safe, each.beyond) if one is not None}
    ]
    assert proof.sample == min(5, len(derived))
    assert proof.differences == ()


@pytest.mark.parametrize("more", [1, 3_000])
def test_a_proof_finds_a_card_that_asks_for_other_bytes(more: int) -> None:
    need: Need = lambda config, sms: 1_000 + 700 * config.batch  # noqa: E731
    table, targets = a_search(need, [(46, 24_000, (8, 9)), (56, 12_000, (8, 9))])
    other = World(lambda config, sms: need(config, sms) + (more if sms == 56 else 0))
    assert table.largest is not None
    proof = prove_largest(
        table.largest, table.settings, targets, other, sample=2, seed=0, margin_bytes=table.margin_bytes
    )
    assert {each.gpu for each in proof.differences} == {"card-1"}


def test_an_interruption_keeps_what_was_found() -> None:
    class Interrupted(World):
        def submit(self, ask, /):  # type: ignore[no-untyped-def]
            if ask.target.gpu.capability == (9, 0) and ask.config.batch not in (1, 4, 8):
                raise KeyboardInterrupt
            return super().submit(ask)

    targets = [card("a", 40, 24_000, (8, 6)), card("b", 60, 24_000, (9, 0))]
    world = Interrupted(lambda config, sms: 1_000 + 100 * config.batch)
    largest = search(table_of(world, targets), targets, world)
    assert not largest.complete
    assert [each.gpu for each in largest.found] in ([], ["a"])


def test_a_table_keeps_its_search_in_a_file(tmp_path: Path) -> None:
    table, _ = a_search(lambda config, sms: 1_000 + 700 * config.batch, [(46, 24_000, (8, 9))])
    (tmp_path / "table.json").write_text(dumps(table))
    assert load(tmp_path / "table.json") == table


def test_two_searches_are_joined_by_way_and_card() -> None:
    def some(way: str, batch: int, most: int = 9) -> LargestBatches:
        return LargestBatches(
            most=most, found=(Largest(way=way, gpu="card", batch=batch),), left_out={"c": "x"}
        )

    both = joined(some("a", 1), some("b", 2))
    assert {key: each.batch for key, each in both.batches().items()} == {("a", "card"): 1, ("b", "card"): 2}
    assert joined(both, some("a", 5)).batches()["a", "card"].batch == 5
    assert both.left_out == {"c": "x"}
    assert joined(both, some("c", 3)).left_out == {}
    with pytest.raises(RequestError, match="most-batch"):
        joined(both, some("a", 1, most=8))


def test_a_table_of_another_pytorch_is_not_searched_with_this_one() -> None:
    targets, world = [card("card", 46, 24_000)], World(lambda config, sms: 1_000 + 700 * config.batch)
    table = table_of(world, targets)
    other = msgspec.structs.replace(
        table, environment=msgspec.structs.replace(table.environment, torch="1.0.0")
    )
    with pytest.raises(RequestError, match=r"1\.0\.0"):
        search(other, targets, world)
