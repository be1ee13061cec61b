"""One recording of a step answers for every card of its compute capability, and for no other step."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import device
from timed_runs import timed

from nanocheck.core.gpus import Gpu, load_catalog
from nanocheck.core.torch_builds import NO_KERNELS
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, Kind, Verdict
from nanocheck.report.card_times_text import by_speed, card_times_blocks
from nanocheck.report.console import as_text
from nanocheck.report.further_runs_text import every_card_blocks
from nanocheck.report.html import cards_page
from nanocheck.search.card_times import RecordedStep, recorders, times
from nanocheck.search.every_card import CardRow, EveryCard
from nanocheck.timing.of_run import step_time

CARDS = sorted(load_catalog().values(), key=lambda gpu: (-gpu.nominal_bytes, gpu.id))
some_cards = st.sets(st.sampled_from(range(len(CARDS))), min_size=1).map(
    lambda chosen: [CARDS[at] for at in sorted(chosen)]
)


def ran(gpu: Gpu, *, recorded: bool = True, kind: Kind = Kind.SAFE, allocated: int = 9000 * MIB) -> JudgedRun:
    run = timed(0.0001, kernels=recorded)
    process = msgspec.structs.replace(run.main, allocated_bytes=allocated)
    run = msgspec.structs.replace(run, device=device(gpu=gpu.id, name=gpu.name), processes=(process,))
    verdict = Verdict(kind=kind, process_bytes=0, headroom_bytes=1, sentence="because")
    return JudgedRun(result=run, margin_bytes=0, verdict=verdict)


@given(some_cards)
def test_every_capability_has_one_recorder_its_largest_card(cards: list[Gpu]) -> None:
    chosen = recorders(cards)
    assert {gpu.capability for gpu in chosen} == {gpu.capability for gpu in cards}
    assert len({gpu.capability for gpu in chosen}) == len(chosen)
    for gpu in chosen:
        assert gpu == next(each for each in cards if each.capability == gpu.capability)


@given(some_cards)
def test_each_card_has_the_estimate_that_its_own_recording_would_give(cards: list[Gpu]) -> None:
    chosen = recorders(cards)
    found = {gpu.id: ran(gpu, recorded=gpu in chosen) for gpu in cards}
    modelled = times(cards, found, [gpu.id for gpu in chosen])
    by_id = {gpu.id: gpu for gpu in cards}
    for gpu in cards:
        assert modelled[gpu.id].estimate == step_time(ran(gpu).result, gpu)
        assert by_id[modelled[gpu.id].recorded_on].capability == gpu.capability


def test_what_does_not_fit_and_another_step_have_no_time() -> None:
    ada = [gpu for gpu in CARDS if gpu.capability == (8, 9)][:4]
    source, same, other, died = ada
    found = {
        source.id: ran(source, allocated=10_000 * MIB),
        same.id: ran(same, recorded=False, allocated=10_050 * MIB),
        other.id: ran(other, recorded=False, allocated=5_000 * MIB),
        died.id: ran(died, recorded=False, kind=Kind.OOM, allocated=10_000 * MIB),
    }
    modelled = times(ada, found, [source.id])
    known = {name: each.estimate is not None for name, each in modelled.items()}
    assert known == {source.id: True, same.id: True, other.id: False, died.id: False}
    assert f"nanocheck run --time --gpu {other.id}" in modelled[other.id].why_not


def test_where_nothing_was_recorded_there_is_no_time() -> None:
    gpu = CARDS[0]
    assert times([gpu], {gpu.id: ran(gpu)}, []) == {}
    without = times([gpu], {gpu.id: ran(gpu, recorded=False)}, [gpu.id])
    assert without[gpu.id].estimate is None
    assert gpu.id in without[gpu.id].why_not


@pytest.fixture
def every() -> EveryCard:
    cards = CARDS[:6]
    found = {gpu.id: ran(gpu) for gpu in cards}
    chosen = [gpu.id for gpu in recorders(cards)]
    modelled = times(cards, found, chosen)
    return EveryCard(
        command=("python", "train.py"),
        platform="linux",
        reserve_bytes=0,
        complete=True,
        cards=tuple(
            CardRow(
                gpu=gpu.id,
                name=gpu.name,
                capacity_bytes=gpu.nominal_bytes,
                verdict=found[gpu.id].verdict,
                allocated_bytes=1,
                reserved_bytes=1,
                provenance=found[gpu.id].result.provenance,
                time=modelled[gpu.id],
            )
            for gpu in cards
        ),
        not_run=(),
        recorded=tuple(RecordedStep.of(each, found[each].result) for each in chosen),
    )


def test_a_card_without_kernels_is_listed_apart_from_what_failed(every: EveryCard) -> None:
    def row(gpu: str, sentence: str) -> CardRow:
        verdict = Verdict(kind=Kind.UNSUPPORTED, process_bytes=0, headroom_bytes=None, sentence=sentence)
        return msgspec.structs.replace(every.cards[0], gpu=gpu, verdict=verdict)

    rows = (row("v100-16gb", f"{NO_KERNELS} it is old"), row("t4", "the virtual GPU does not answer x"))
    found = msgspec.structs.replace(every, cards=rows)
    assert (found.no_kernels, found.no_answer) == (("v100-16gb",), ("t4",))
    shown = as_text(every_card_blocks(found))
    assert "no answer on: t4\nthis PyTorch has no kernels for: v100-16gb\n" in shown


def test_the_fastest_card_comes_first_and_the_page_says_what_the_terminal_says(every: EveryCard) -> None:
    order = [(row.gpu, f"{time.seconds * 1e3:,.1f}") for row, time in by_speed(every)]
    assert [float(ms) for _, ms in order] == sorted(float(ms) for _, ms in order)
    lines = [line.split() for line in as_text(card_times_blocks(every)).splitlines()]
    shown = [(line[0], line[2]) for line in lines if len(line) > 2 and line[1] == "safe"]
    assert shown == order
    page = cards_page.render(every)
    places = [page.index(f'<th scope="row">{gpu}</th>') for gpu, _ in order]
    assert places == sorted(places)


def test_nobody_asked_for_time_and_nothing_is_said_of_it(every: EveryCard) -> None:
    silent = msgspec.structs.replace(
        every, cards=tuple(msgspec.structs.replace(row, time=None) for row in every.cards)
    )
    assert card_times_blocks(silent) == []
    assert "How long a step would take" not in cards_page.render(silent)
    assert msgspec.json.decode(msgspec.json.encode(every), type=EveryCard) == every
