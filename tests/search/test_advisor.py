"""The search against cards that arithmetic decides, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import advise_fakes
import pytest
from advise_fakes import Fake, Need, Speed, card, line
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import result

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.report import advice_text
from nanocheck.report.advice_data import AdviceFile
from nanocheck.report.console import as_text
from nanocheck.search import advice, advisor, training_variants
from nanocheck.search.advice import smallest as nearest_to_fitting

BASE = StepConfig(n_embd=576, batch=1)


def question(**fields: Any) -> advice.Question:
    return advice.Question(**{"target": card(), "base": BASE, "tokens_per_step": 524_288, **fields})


def ask(need: Need = line, interrupt_after: int | None = None, **fields: Any) -> tuple[advice.Advice, Fake]:
    asked = question(**fields)
    fake = Fake(asked.target, need, interrupt_after)
    return advisor.advise(asked, fake), fake


def test_the_nanogpt_note_is_answered_with_two_compiled_runs() -> None:
    advice, fake = ask()
    found = [
        (training_variants.name(each.config), each.split.batch, each.split.accumulation)
        for each in advice.recommendations
    ]
    assert found == [("bf16 compile", 16, 32), ("bf16 eager", 8, 64), ("fp16 eager", 8, 64)]
    assert [each.batch for each in fake.ran if each.compile != "off"] == [16, 32]
    assert advice.complete
    assert not advice.tight


def by_model(speed: Speed, **fields: Any) -> tuple[advice.Advice, Fake]:
    asked = question(**fields)
    fake = Fake(asked.target, line, speed=speed)
    return advisor.advise(asked, fake), fake


def test_what_ran_is_ranked_by_its_own_kernels_against_the_count() -> None:
    """The count says that compiled steps are faster; these kernels say the contrary."""
    counted, _ = ask()
    assert counted.recommendations[0].config.compile == "default"
    found, _ = by_model(lambda config: 5.0 if config.compile == "off" else 15.0)
    first = found.recommendations[0]
    assert first.config.compile == "off"
    assert all(each.is_modelled for each in found.recommendations)
    times = [each.seconds_per_token for each in found.recommendations]
    assert times == sorted(times)
    data = AdviceFile.of(found)
    assert [each.time for each in data.recommendations] == [each.trial.time for each in found.recommendations]
    assert {each.time_provenance for each in data.recommendations} == {"modelled"}
    shown = " ".join(as_text(advice_text.render(data)).split())
    assert f"fastest, {first.seconds:.2f} s a step (modelled, the card alone; 80% within" in shown
    assert f"{data.recommendations[0].tokens_per_second:,.0f} tokens/s" in shown


def test_a_busy_host_does_not_change_the_order_and_is_told() -> None:
    found, _ = by_model(lambda config: 5.0 if config.compile == "off" else 15.0)
    slow = advise_fakes.Fake(found.question.target, line, speed=lambda c: 5.0 if c.compile == "off" else 15.0)
    slow.host_s = lambda config: 60.0 if config.compile == "off" else 0.1
    busy = advisor.advise(found.question, slow)
    assert [each.config for each in busy.recommendations] == [each.config for each in found.recommendations]
    data = AdviceFile.of(busy)
    assert [each.host_may_decide for each in data.recommendations] == [
        each.config.compile == "off" for each in busy.recommendations
    ]
    assert "may decide" in as_text(advice_text.render(data))
    assert "may decide" not in as_text(advice_text.render(AdviceFile.of(found)))


def test_what_could_not_be_recorded_comes_after_what_was_modelled() -> None:
    def ask_one(silent: str) -> list[bool]:
        asked = question()
        fake = Fake(asked.target, line, speed=lambda _: 9.0)
        list_of = advise_fakes._list_of
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                advise_fakes, "_list_of", lambda s, c: None if c.compile == silent else list_of(s, c)
            )
            return [each.is_modelled for each in advisor.advise(asked, fake).recommendations]

    for silent in ("off", "default"):
        found = ask_one(silent)
        assert sorted(found, reverse=True) == found
        assert set(found) == {True, False}


def test_only_proofs_and_compiled_runs_are_recorded() -> None:
    _, fake = by_model(lambda _: 9.0)
    eager = [each for each in fake.recorded if each.compile == "off"]
    assert {each.cycle for each in eager} == {"full"}
    assert len(eager) < len([each for each in fake.ran if each.compile == "off"])
    assert [each for each in fake.ran if each.compile != "off"] == [
        each for each in fake.recorded if each.compile != "off"
    ]


def test_the_steps_of_a_real_card_are_not_recorded() -> None:
    _, fake = ask(target=replace(card(), kind="real"))
    assert fake.ran
    assert fake.recorded == []


def test_every_answer_was_run_as_a_whole_and_is_safe() -> None:
    for need in (line, lambda config: line(config) * 3, lambda config: line(config) / 3):
        advice, fake = ask(need)
        for each in advice.recommendations:
            assert each.config in fake.ran
            assert each.config.cycle == "full"
            assert each.trial.verdict.kind == "safe"
            assert each.config.batch * each.config.accumulation * 1024 == 524_288


def test_with_a_desktop_the_batch_is_halved_and_the_tokens_are_kept() -> None:
    advice, fake = ask(target=card(reserve_bytes=2450 * MIB))
    first = advice.recommendations[0]
    assert (first.split.batch, first.split.accumulation) == (8, 64)
    assert first.beyond is not None
    assert first.beyond.config.batch == 16
    assert first.beyond.verdict.kind == "oom"
    # 16 sequences ask for more than there is, by a line: no allocator is tried for them.
    assert [each.batch for each in fake.ran if each.compile != "off"] == [8, 16]


def test_what_evaluation_needs_beside_is_part_of_the_proof() -> None:
    advice, _ = ask(lambda config: 5000 if config.cycle == "train" or config.batch <= 2 else 20_000)
    assert {each.split.batch for each in advice.recommendations} == {2}


def test_nothing_that_needs_an_edit_is_advised_unasked() -> None:
    def need(config: StepConfig) -> float:
        return 5000 if config.checkpointing == "block" else 20_000

    assert ask(need)[0].recommendations == []
    advice, _ = ask(need, change_script=True)
    assert advice.recommendations
    assert all(each.config.checkpointing == "block" for each in advice.recommendations)
    assert all(
        "the script must change" in as_text(advice_text.render(AdviceFile.of(advice)))
        for _ in advice.recommendations
    )


def test_methods_that_cannot_be_noticeably_faster_are_not_run() -> None:
    advice, fake = ask(change_script=True)
    assert training_variants.name(advice.recommendations[0].config) == "bf16 compile"
    assert not any(each.checkpointing != "none" for each in fake.ran)
    left_out = [row for row in advice.rows if "checkpoint-block" in training_variants.name(row.variant)]
    assert left_out
    assert all("faster than" in row.note for row in left_out)
    shown = as_text(advice_text.render(AdviceFile.of(advice)))
    assert "checkpoint-block" not in shown
    assert f"{len([row for row in advice.rows if not row.runs])} further ways were not run" in shown


def test_where_only_a_small_batch_fits_methods_are_tried() -> None:
    advice, fake = ask(lambda config: line(config) * 4.5, change_script=True)
    assert any(each.loss == "chunked" for each in fake.ran)
    best = advice.recommendations[0]
    assert best.cost.seconds_per_token <= min(each.cost.seconds_per_token for each in advice.recommendations)


def test_nanochat_is_scouted_in_eager_mode_and_told_compiled() -> None:
    base = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 12, "batch": 1})
    advice, fake = ask(base=base)
    assert {each.compile for each in fake.ran} == {"off", "default"}
    assert {each.cycle for each in fake.ran if each.compile == "off"} == {"train"}
    assert {each.config.compile for each in advice.recommendations} == {"default"}
    assert "--total-batch-size=524288" in as_text(advice_text.render(AdviceFile.of(advice)))


def test_one_mode_is_searched_where_one_is_asked_for() -> None:
    for mode in ("off", "default"):
        advice, fake = ask(modes=(mode,))
        assert {each.config.compile for each in advice.recommendations} == {mode}
        assert {row.variant.compile for row in advice.rows} == {mode}
        assert fake.ran


def test_inside_the_margin_is_told_where_nothing_is_safe() -> None:
    advice, _ = ask(lambda config: 11_200)
    assert advice.tight
    assert advice.recommendations
    assert all(each.trial.verdict.kind == "tight" for each in advice.recommendations)
    assert "Nothing is safe" in as_text(advice_text.render(AdviceFile.of(advice)))


def test_where_nothing_fits_the_smallest_run_is_told() -> None:
    advice, _ = ask(lambda config: 30_000)
    assert advice.recommendations == []
    smallest = nearest_to_fitting(advice)
    assert smallest is not None
    assert smallest.config.batch == 1
    words = " ".join(as_text(advice_text.render(AdviceFile.of(advice))).split())
    assert f"The smallest that was run, {smallest.result.id}: oom: backward of step 0" in words


@pytest.mark.parametrize("runs", [0, 3, 8])
def test_ctrl_c_keeps_what_was_found(runs: int) -> None:
    advice, fake = ask(interrupt_after=runs)
    assert not advice.complete
    assert len(fake.ran) == runs
    assert len(advice.trials) <= runs
    shown = as_text(advice_text.render(AdviceFile.of(advice)))
    assert shown.endswith("nothing is known of what is missing")
    whole = ask()[0]
    if runs == 8:
        assert [training_variants.name(each.config) for each in advice.recommendations] == ["bf16 eager"]
    assert len(advice.recommendations) <= len(whole.recommendations)


def test_a_run_that_gives_no_answer_is_not_counted_as_fitting() -> None:
    class Broken(Fake):
        def _result(self, config: StepConfig) -> RunResult:
            return result(config, outcome="crashed", peaks=(), detail="no such kernel")

    asked = question()
    advice = advisor.advise(asked, Broken(asked.target))
    assert advice.recommendations == []
    assert "crashed: no such kernel" in as_text(advice_text.render(AdviceFile.of(advice)))


def test_two_searches_go_on_at_once() -> None:
    _, fake = ask(lambda config: line(config) * 4.5, change_script=True)
    assert fake.at_once >= 2


@settings(max_examples=25)
@given(st.integers(1, 24), st.floats(0.05, 8), st.integers(0, 6000))
def test_the_first_answer_is_the_fastest_that_fits_of_all_there_are(
    tokens: int, scale: float, held: int
) -> None:
    """Against trying everything: no plain way that is safe is noticeably faster than the first answer."""

    def need(config: StepConfig) -> float:
        return line(config) * scale

    asked = question(target=card(reserve_bytes=held * MIB), tokens_per_step=1024 * tokens)
    fake = Fake(asked.target, need)
    advice = advisor.advise(asked, fake)
    best = min(
        (
            advisor.step_cost.cost(config, asked.target.gpu).seconds_per_token
            for mode in ("off", "default")
            for batch in range(1, tokens + 1)
            if tokens % batch == 0
            for config in [
                replace(BASE, compile=mode, batch=batch, accumulation=tokens // batch, cycle="full")
            ]
            if need(config) * MIB <= asked.limit_bytes
        ),
        default=None,
    )
    if advice.tight:
        assert best is None
        return
    assert best is not None
    assert advice.recommendations[0].cost.seconds_per_token <= best * advisor.ENOUGH


def test_a_wrong_request_is_refused_before_anything_runs() -> None:
    with pytest.raises(RequestError, match="tokens-per-step"):
        ask(tokens_per_step=100)
    with pytest.raises(RequestError, match="--dtype"):
        ask(dtypes=("int4",))
