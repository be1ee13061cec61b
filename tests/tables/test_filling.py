"""Derived cells are what a run of each cell says, and take fewer runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import peaks, result
from table_world import World, card

from nanocheck.core.config import StepConfig
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind
from nanocheck.tables.filling import Ask, fill
from nanocheck.tables.proving import prove

CONFIGS = [StepConfig(batch=each) for each in (1, 4, 8, 16)]

cards = st.lists(
    st.tuples(st.integers(20, 190), st.integers(4_000, 30_000), st.sampled_from([(8, 6), (8, 9)])),
    min_size=1,
    max_size=12,
)
#: What grows with the multiprocessors, beside what grows with the batch: nothing, or steps of a staircase.
growths = st.sampled_from([0, 7, 40])


def need(growth: int):  # type: ignore[no-untyped-def]
    return lambda config, sms: 900 + 1100 * config.batch + growth * (sms // 50)


@given(cards, growths)
def test_a_shared_run_says_what_each_card_says(
    found: list[tuple[int, int, tuple[int, int]]], growth: int
) -> None:
    targets = [card(f"card-{number}", *each) for number, each in enumerate(found)]
    shared, each = World(need(growth)), World(need(growth))
    derived = fill(CONFIGS, targets, shared, margin_bytes=DEFAULT_MARGIN_BYTES)
    run = fill(CONFIGS, targets, each, margin_bytes=DEFAULT_MARGIN_BYTES, share=False)
    assert derived.complete
    assert derived.cells.keys() == run.cells.keys()
    for key, known in derived.cells.items():
        own = run.cells[key]
        assert known.verdict.kind is own.verdict.kind
        if known.verdict.kind is not Kind.OOM:
            assert known.verdict == own.verdict
    assert derived.with_room + derived.on_card == len(shared.asks)
    assert derived.on_card == len(shared.on_their_own_cards)
    assert run.on_card == len(each.asks) == len(run.cells)


def test_only_border_cells_run_on_the_card_itself() -> None:
    # 9,700 MiB of tensors, 12,125 reserved: the first cannot hold the tensors, the last all that is reserved.
    targets = [card("small", 46, 8_000), card("border", 46, 11_000), card("large", 46, 16_000)]
    world = World(need(0))
    filled = fill([StepConfig(batch=8)], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert [each.target.gpu.id for each in world.on_their_own_cards] == ["border"]
    kinds = [known.verdict.kind for known in filled.cells.values()]
    assert sorted(kinds) == [Kind.OOM, Kind.SAFE, Kind.TIGHT]
    assert filled.with_room == 1


def test_cards_between_two_of_the_same_figures_are_not_run() -> None:
    targets = [card(f"card-{sms}", sms, 24_000) for sms in range(20, 200, 6)]
    world = World(need(0))
    fill([StepConfig(batch=4)], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert [each.target.gpu.sms for each in world.asks] == [20, 194]


def test_where_the_ends_differ_the_middle_is_run_until_every_card_is_known() -> None:
    targets = [card(f"card-{sms}", sms, 24_000) for sms in range(20, 200, 6)]
    world = World(need(40))
    filled = fill([StepConfig(batch=4)], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    for target in targets:
        known = filled.cells["gpt2-768-b4-a1-bf16-eager", target.gpu.id]
        assert known.roomy.main.allocated_bytes == need(40)(StepConfig(batch=4), target.gpu.sms) * MIB
    assert 4 < len(world.asks) < len(targets)


def test_a_compiled_step_is_run_for_every_number_of_multiprocessors() -> None:
    targets = [card(f"card-{number}", sms, 24_000) for number, sms in enumerate((20, 46, 46, 90))]
    world = World(need(0))
    config = StepConfig(batch=4, compile="default")
    fill([config], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert [each.target.gpu.sms for each in world.asks] == [20, 46, 90]


def test_attention_of_too_few_blocks_for_a_card_is_run_for_every_number_of_multiprocessors() -> None:
    """Keys are split into 4 parts on 46 and on 128 multiprocessors, into 2 on 76: seen of one head of 64."""
    parts = {46: 4, 76: 2, 128: 4}
    targets = [card(f"card-{sms}", sms, 24_000) for sms in parts]
    few = StepConfig(batch=1, n_head=1, n_embd=64, block_size=4096)  # 64 blocks
    enough = StepConfig(batch=4, n_head=1, n_embd=64, block_size=4096)  # 256, of 0.8 x 2 x 128
    world = World(lambda config, sms: 500 + 10 * (parts[sms] if config == few else 1))
    filled = fill([few, enough], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert [each.target.gpu.sms for each in world.asks if each.config == few] == [46, 76, 128]
    assert [each.target.gpu.sms for each in world.asks if each.config == enough] == [46, 128]
    proof = prove(filled, [few, enough], targets, world, sample=6, seed=0, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert (proof.sample, proof.differences) == (6, ())


def test_a_step_is_recorded_once_for_each_capability() -> None:
    targets = [card("a", 40, 24_000, (8, 6)), card("b", 60, 24_000, (8, 6)), card("c", 60, 24_000, (8, 9))]
    world = World(need(0))
    filled = fill(CONFIGS[:1], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES, record=True)
    assert [each.target.gpu.id for each in world.asks if each.record] == ["b", "c"]
    assert set(filled.recorded) == {(CONFIGS[0].id, (8, 6)), (CONFIGS[0].id, (8, 9))}


@given(cards, st.integers(0, 5))
def test_a_proof_finds_nothing_where_derived_cells_are_right(
    found: list[tuple[int, int, tuple[int, int]]], seed: int
) -> None:
    targets = [card(f"card-{number}", *each) for number, each in enumerate(found)]
    world = World(need(7))
    filled = fill(CONFIGS, targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    proof = prove(filled, CONFIGS, targets, world, sample=9, seed=seed, margin_bytes=DEFAULT_MARGIN_BYTES)
    derived = [each for each in filled.cells.values() if each.own is None]
    assert proof.sample == min(9, len(derived))
    assert proof.differences == ()


def test_a_proof_finds_a_card_that_behaves_as_none_of_its_kind() -> None:
    """Of three cards the ends are the same and the middle is not: what sharing takes for granted is wrong."""
    targets = [card(f"card-{sms}", sms, 24_000) for sms in (20, 46, 90)]
    world = World(lambda config, sms: 5_000 + (512 if sms == 46 else 0))
    filled = fill(CONFIGS[:1], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    proof = prove(filled, CONFIGS, targets, world, sample=3, seed=0, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert [each.gpu for each in proof.differences] == ["card-46"]
    assert "5,242,880,000 bytes" in proof.differences[0].derived
    assert "5,779,750,912 bytes" in proof.differences[0].run


def test_an_interruption_keeps_what_was_found() -> None:
    class Interrupted(World):
        def submit(self, ask, /):  # type: ignore[no-untyped-def]
            if len(self.asks) == 2:
                raise KeyboardInterrupt
            return super().submit(ask)

    targets = [card("a", 40, 24_000)]
    filled = fill(CONFIGS, targets, Interrupted(need(0)), margin_bytes=DEFAULT_MARGIN_BYTES)
    assert not filled.complete
    assert len(filled.cells) < len(CONFIGS)


@pytest.mark.parametrize("outcome", ["crashed", "timeout", "unsupported"])
def test_a_run_with_room_that_ends_early_says_what_it_had_asked_for(outcome: str) -> None:
    class Ends(World):
        def run(self, ask: Ask) -> RunResult:
            return result(ask.config, device=ask.target.device, outcome=outcome, peaks=peaks(9_000 * MIB))

    targets = [card("small", 46, 8_000), card("large", 46, 24_000)]
    filled = fill(CONFIGS[:1], targets, Ends(need(0)), margin_bytes=DEFAULT_MARGIN_BYTES)
    kinds = {gpu: known.verdict.kind for (_, gpu), known in filled.cells.items()}
    assert kinds == {"small": Kind.OOM, "large": Kind(outcome)}


def test_what_no_card_of_a_kind_can_do_is_said_of_each_by_its_name() -> None:
    class WithoutKernels(World):
        def run(self, ask: Ask) -> RunResult:
            device = ask.target.device
            return result(
                ask.config, device=device, outcome="unsupported", detail=f"no kernels for {device.name}"
            )

    targets = [card("alpha", 80, 16_000), card("beta", 80, 32_000)]
    world = WithoutKernels(need(0))
    filled = fill(CONFIGS[:1], targets, world, margin_bytes=DEFAULT_MARGIN_BYTES)
    first, second = (known.verdict.sentence for known in filled.cells.values())
    assert first.startswith("no kernels for alpha;")
    assert second.startswith("no kernels for beta;")
    proof = prove(filled, CONFIGS, targets, world, sample=2, seed=0, margin_bytes=DEFAULT_MARGIN_BYTES)
    assert proof.differences == ()
