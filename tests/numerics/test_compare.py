"""What two recordings say of each other, on traces that no training produced."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_recordings import (
    CONFIG,
    ERROR,
    NAMES,
    recorded,
    recording,
    trace,
    weight,
    with_loss,
    with_parameter,
)

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import NanocheckError, RequestError, StoredDataError
from nanocheck.numerics.compare import FP32, TOLERANCE_FACTOR, VERDICTS, compare, compare_one
from nanocheck.numerics.divergence import first_divergence
from nanocheck.numerics.recorder import default_configs, plan_of, reference_of
from nanocheck.numerics.recording import dumps, load, save
from nanocheck.numerics.tiers import Distance, apart
from nanocheck.numerics.trace import Step, Trace
from nanocheck.report.console import as_text
from nanocheck.report.numerics_text import render

#: Changes of a trace of three steps: of a loss by so much, or of a parameter's bytes and where it lies.
CHANGES = st.one_of(
    st.tuples(st.just("loss"), st.integers(0, 2), st.floats(1e-6, 1.0)),
    st.tuples(st.sampled_from(NAMES), st.integers(-1, 2), st.floats(0.0, 1.0)),
)


def changed(found: Trace, changes: list[tuple[str, int, float]]) -> Trace:
    for what, step, by in changes:
        found = with_loss(found, step, by) if what == "loss" else with_parameter(found, step, what, by)
    return found


@settings(max_examples=40)
@given(st.lists(CHANGES, max_size=4), st.lists(CHANGES, max_size=4))
def test_verdicts_are_the_same_both_ways(one: list[tuple[str, int, float]], other: list) -> None:  # type: ignore[type-arg]
    here, there = recorded(changed(trace(), one)), recorded(changed(trace(), other))
    assert compare_one(here, there).verdict == compare_one(there, here).verdict


def test_distances_are_the_same_both_ways() -> None:
    """Relative ones, too: 1 is further from 5 than 5 from 1."""
    other = replace(trace(), steps=tuple(replace(step, grad_norm=5.0) for step in trace().steps))
    assert apart(trace(), other) == apart(other, trace())
    assert apart(trace(), other).grad_norm == 4.0


def test_a_parameter_of_one_side_only_is_no_rounding_error() -> None:
    found = trace()
    more = {step: {**each, "extra": weight()} for step, each in found.parameters.items()}
    other = recorded(replace(found, parameters=more))
    for row in (compare_one(recorded(), other), compare_one(other, recorded())):
        assert row.verdict == "moved"
        assert row.divergence is not None
        assert (row.divergence.step, row.divergence.what, row.divergence.magnitude) == (-1, "extra", math.inf)


@settings(max_examples=40)
@given(st.lists(CHANGES, max_size=4))
def test_equal_if_and_only_if_every_bit_is(changes: list[tuple[str, int, float]]) -> None:
    other = changed(trace(), changes)
    bitwise = other.steps == trace().steps and other.parameters == trace().parameters
    row = compare_one(recorded(), recorded(other))
    assert (row.verdict == "equal") == bitwise
    assert (row.divergence is None) == bitwise


@settings(max_examples=40)
@given(st.lists(CHANGES, min_size=1, max_size=6))
def test_the_first_difference_is_named(changes: list[tuple[str, int, float]]) -> None:
    """In the order of a step: loss before parameters, those in the model's order, the start before all."""
    row = compare_one(recorded(), recorded(changed(trace(), changes)))
    order = ["loss", *NAMES]
    # Two changes of one loss may cancel; the ones here only add.
    step, what = min((step, order.index(what)) for what, step, _ in changes)
    assert row.divergence is not None
    assert (row.divergence.step, row.divergence.what) == (step, order[what])


@pytest.mark.parametrize(
    ("times", "verdict"),
    [(0.5, "rounding"), (TOLERANCE_FACTOR * 0.99, "rounding"), (TOLERANCE_FACTOR * 1.01, "moved")],
)
def test_rounding_ends_at_k_times_the_distance_to_fp64(times: float, verdict: str) -> None:
    by_loss = with_loss(trace(), 1, times * ERROR.loss)
    norm = math.sqrt(len(NAMES)) * 10.0
    by_parameter = with_parameter(trace(), 2, NAMES[1], times * ERROR.parameters * norm)
    for found in (by_loss, by_parameter):
        assert compare_one(recorded(), recorded(found)).verdict == verdict


def test_a_run_that_went_wrong_does_not_excuse_itself() -> None:
    """It is as far from fp64 as from the other run: only the nearer one says what rounding is."""
    wrong = recorded(with_loss(trace(), 0, 0.5), error=Distance(loss=0.5, grad_norm=1e-3, parameters=1e-3))
    row = compare_one(recorded(), wrong)
    assert row.verdict == "moved"
    assert "after is 5e+03 times as far from fp64 as before (loss)" in row.note
    assert "before is 5e+03 times as far from fp64 as after (loss)" in compare_one(wrong, recorded()).note


def test_no_figure_is_read_more_finely_than_fp32() -> None:
    exact = Distance(loss=0.0, grad_norm=0.0, parameters=0.0)
    one_bit = recorded(with_loss(trace(), 0, 5.0 * FP32), error=exact)
    assert compare_one(recorded(error=exact), one_bit).verdict == "rounding"


def test_without_anything_finer_a_difference_counts() -> None:
    row = compare_one(
        recorded(error=None, reference=""), recorded(with_loss(trace(), 0, 1e-6), error=None, reference="")
    )
    assert row.verdict == "moved"
    assert row.note == "nothing finer to measure its rounding error with"


def test_other_initial_weights_are_told() -> None:
    row = compare_one(recorded(), recorded(with_parameter(trace(), -1, NAMES[0], 5.0)))
    assert row.divergence is not None
    assert str(row.divergence).startswith("before the first step, transformer.wte.weight: ")
    assert row.note == "the same seed gave other initial weights"


def test_a_step_that_only_one_scaler_skipped_has_moved() -> None:
    steps = (Step(loss=5.0, grad_norm=math.inf, skipped=True), *trace().steps[1:])
    other = replace(trace(), steps=steps)
    assert compare_one(recorded(other), recorded(other)).verdict == "equal"
    row = compare_one(recorded(), recorded(other))
    assert row.verdict == "moved"
    assert row.apart is not None
    assert math.isfinite(row.apart.grad_norm)
    assert "the loss scaler had other scales or skipped other steps" in row.note


def test_a_run_that_fails_now_is_lost_and_one_that_failed_before_is_gained() -> None:
    broken = recorded(trace=None, failed="no such kernel")
    assert compare_one(recorded(), broken).verdict == "lost"
    assert compare_one(broken, recorded()).verdict == "gained"
    assert compare_one(broken, broken).verdict == "failed"
    assert compare(recording(), recording(broken)).moved
    assert not compare(recording(broken), recording()).moved
    assert compare_one(recorded(), broken).note == "no such kernel"


def test_another_training_is_not_judged() -> None:
    """Another text or another number of steps has other losses, and nothing has changed."""
    text = replace(trace(), environment={**trace().environment, "text_sha256": "cd"})
    one = recorded(name="a")
    for other in (
        recorded(with_loss(text, 0, 1.0)),
        recorded(plan={**recorded().plan, "steps": 4}),
        recorded(replace(trace((5.0, 4.0)), environment=trace().environment)),
    ):
        assert compare_one(recorded(), other).verdict == "other"
        both = compare(recording(recorded(), one), recording(other, one))
        assert not both.moved
        with pytest.raises(RequestError, match="nothing to compare"):
            compare(recording(), recording(other))


def test_configurations_of_one_side_are_named() -> None:
    found = compare(
        recording(recorded(name="a"), recorded(name="b")), recording(recorded(name="b"), torch="2.9.1")
    )
    assert [row.name for row in found.rows] == ["b"]
    assert found.only_before == ("a",)
    assert found.differences == [("torch", "2.14.1+cu130", "2.9.1")]
    assert "a: only in the first file" in as_text(render(found, ("a.json", "b.json")).blocks)
    with pytest.raises(RequestError, match="no configuration stands in both"):
        compare(recording(recorded(name="a")), recording(recorded(name="b")))


def test_pages_name_what_moved() -> None:
    moved = recorded(with_parameter(trace(), 1, NAMES[1], 5.0), name="a|b")
    found = compare(recording(recorded(name="a|b")), recording(moved, torch="2.9.1"))
    text = as_text(render(found, ("a.json", "b.json")).blocks)
    assert "torch: 2.14.1+cu130 -> 2.9.1" in text
    assert f"first difference: step 1, {NAMES[1]}: 10.0 and 10.0, 0.5 of it apart" in " ".join(text.split())
    assert text.endswith("1 configuration: 1 moved")
    page = render(found, ("a.json", "b.json")).markdown
    assert "| a&#124;b" in page
    assert f"step 1, {NAMES[1]}" in page
    assert all(f"**{verdict}**" in page for verdict in VERDICTS)
    plain = json.loads(json.dumps(render(found, ("a.json", "b.json")).plain, allow_nan=False))
    assert plain["moved"] is True
    assert plain["rows"][0]["divergence"]["what"] == NAMES[1]


def test_a_recording_survives_its_file(tmp_path: Path) -> None:
    skipped = replace(trace(), steps=(*trace().steps[:2], Step(loss=3.0, grad_norm=math.inf, skipped=True)))
    kept = recording(recorded(), recorded(skipped, name="b"), recorded(name="c", trace=None, failed="why"))
    save(tmp_path / "a.json", kept)
    again = load(tmp_path / "a.json")
    assert again.runs[1].trace == skipped
    assert dumps(again) == dumps(kept)
    assert (
        json.loads((tmp_path / "a.json").read_text())["provenance"] == "measured, real arithmetic on cpu AVX2"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_never_recorded(tmp_path: Path, value: float) -> None:
    with pytest.raises(NanocheckError, match="loss of step 1 is"):
        save(tmp_path / "a.json", recording(recorded(with_loss(trace(), 1, value))))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"schema": 1', '"schema": 2', "expected a recording of schema 1, found 2"),
        ('"kind": "nanocheck recording"', '"kind": "other"', "expected a recording, found something else"),
        ('"loss": 4.0', '"loss": "4.0"', None),
        ('"loss": 4.0', '"loss": null', "loss of step 1: expected a number"),
        ('"loss": 4.0', '"loss": "nan"', "loss of step 1 is nan"),
        ('"skipped": false', '"skipped": 0', "skipped of step 0: expected true or false"),
        ('"2": {"transformer', '"7": {"transformer', "the parameters after the last one"),
        ('"failed": ""', '"failed": "why"', "expected a trace or a reason"),
        ('"runs": [', '"runs": [4, ', "malformed recording"),
        ('"reference"', '"preference"', "malformed recording: KeyError('reference')"),
        ('"sketch": [10.0, ', '"sketch": [', "sketches of parameters: expected one length"),
        ("]}", "]", "not JSON"),
    ],
)
def test_a_damaged_recording_is_told_apart(tmp_path: Path, old: str, new: str, said: str | None) -> None:
    path = tmp_path / "a.json"
    text = dumps(recording())
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if said is None:  # a number as a text reads as the number: it is what the norm of a skipped step is
        assert load(path).runs[0].trace == trace()
        return
    with pytest.raises(StoredDataError, match="record it again") as rendered:
        load(path)
    assert said in str(rendered.value)


def test_the_same_configuration_twice_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(dumps(recording(recorded(), recorded())))
    with pytest.raises(StoredDataError, match="is duplicated"):
        load(tmp_path / "a.json")


def test_the_default_recording_has_every_format_optimizer_and_model() -> None:
    configs = list(default_configs())
    assert len({config.id for config in configs}) == len(configs)
    assert {config.dtype for config in configs} == {"fp32", "bf16", "fp16"}
    assert {config.accumulation for config in configs} == {1, 2}
    assert {config.optimizer for config in configs} == {"adamw-fused", "adamw-foreach", "adamw-loop", "muon"}
    assert {config.model for config in configs} == {"gpt2", "nanochat-2025", "nanochat-2026"}
    assert {config.checkpointing for config in configs} == {"none", "block"}
    assert {config.compile for config in configs} == {"off"}
    assert {config.compile for config in default_configs(compiled=True)} == {"off", "default"}


def test_every_default_run_has_something_finer() -> None:
    for config in default_configs(compiled=True):
        reference = reference_of(plan_of(config))
        assert reference is not None
        name, plan = reference
        assert (name, plan.oracle) == (("fp64", True) if config.model == "gpt2" else ("fp32", False))
        assert plan.config.dtype == "fp32"


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, dtype="fp32", update="backward"),
        StepConfig.from_dict(
            {**CONFIG.to_dict(), "model": "nanochat-2026", "optimizer": "muon", "dtype": "fp32"}
        ),
    ],
)
def test_the_formulas_are_not_asked_for_what_they_do_not_know(config: StepConfig) -> None:
    assert reference_of(plan_of(config)) is None


def test_parting_finds_what_comes_first_in_a_trace_of_the_end_only() -> None:
    """Without fingerprints of every step, parameters are compared where both have them."""
    only_end = replace(trace(), parameters={2: trace().parameters[2]})
    divergence = first_divergence(with_parameter(trace(), 1, NAMES[0], 1.0), only_end)
    assert divergence is None
