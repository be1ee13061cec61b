"""Judging loss curves and keeping them in files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_traces import CONFIG, HERE, trace

from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.numerics.golden import (
    SEED_VARIATION_FACTOR,
    Curves,
    Golden,
    curve_problem,
    load_golden,
    save_golden,
)
from nanocheck.numerics.properties import (
    START_BAND,
    decrease_problem,
    overfit_problem,
    slope,
    start_problem,
    window_means,
)
from nanocheck.numerics.tiers import TOLERANCE_FACTOR, Distance
from nanocheck.numerics.trace import Step, Trace, not_finite

finite = st.floats(min_value=-1e6, max_value=1e6)
FALLING = tuple(10 - 0.1 * step for step in range(16))


def golden(*losses: float, **environment: str) -> Golden:
    losses = losses or (10.0, 9.0)
    return Golden(
        environment={**HERE, **environment},
        losses=losses,
        grad_norms=tuple(1.0 for _ in losses),
        rounding_error=Distance(loss=1e-3, grad_norm=1e-4, parameters=1e-5),
        seed_variation=(0.5, 0.25),
        slope=(0.1, 0.08, 0.12),
        bands={"grad_norm": (0.5, 1.5)},
    )


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_an_untrained_model_starts_at_ln_v() -> None:
    ln_v = math.log(50304)
    assert start_problem(trace((ln_v + 0.99 * START_BAND, 1.0)), CONFIG) is None
    for wrong in (ln_v / 4, 4 * ln_v, ln_v - 1.01 * START_BAND, math.nan):
        assert "expected ln V = 10.8258" in str(start_problem(trace((wrong, 1.0)), CONFIG))


def test_every_window_must_lie_below_the_one_before() -> None:
    falling = [10 - 0.1 * step + (step % 3) for step in range(24)]
    assert decrease_problem(trace(falling)) is None
    for wrong in (falling[::-1], [5.0] * 24, [*falling[:16], *[math.nan] * 8], falling[:8]):
        assert "does not fall" in str(decrease_problem(trace(wrong)))


def test_a_batch_known_by_heart() -> None:
    assert overfit_problem(trace((5.0, 0.04))) is None
    for wrong in (0.06, math.nan):
        assert "expected at most 0.05 nats" in str(overfit_problem(trace((5.0, wrong))))


@given(st.lists(finite, max_size=40))
def test_window_means_are_means(losses: list[float]) -> None:
    means = window_means(losses)
    assert len(means) == len(losses) // 8
    for number, mean in enumerate(means):
        assert mean == pytest.approx(sum(losses[8 * number : 8 * number + 8]) / 8)


@given(st.floats(-1, 1), st.integers(2, 5))
def test_the_slope_of_a_line_is_its_slope(fall: float, windows: int) -> None:
    assert slope([7 - fall * step for step in range(8 * windows)]) == pytest.approx(fall, abs=1e-9)


@given(st.lists(finite, min_size=1), st.integers(min_value=0), st.floats(0.1, 10), st.booleans())
def test_a_difference_is_found_both_ways_at_any_step(
    losses: list[float], place: int, tolerance: float, up: bool
) -> None:
    step = place % len(losses)
    beyond, within = list(losses), list(losses)
    beyond[step] += 1.01 * tolerance if up else -1.01 * tolerance
    within[step] += 0.99 * tolerance if up else -0.99 * tolerance
    stored = golden(*losses)
    assert f"loss of step {step}:" in str(curve_problem(trace(beyond), stored, tolerance, 0.1))
    assert curve_problem(trace(within), stored, tolerance, 0.1) is None


def test_gradient_norms_count_too_and_nan_never_passes() -> None:
    expected = golden(1.0, 1.0)
    other = trace((1.0, 1.0), norms=(1.0, 1.2))
    assert curve_problem(other, expected, 1, 0.25) is None
    assert "gradient norm of step 1" in str(curve_problem(other, expected, 1, 0.1))
    assert "loss of step 0" in str(curve_problem(trace((math.nan, 1.0)), expected, 9, 9))
    assert "expected 2 steps, found 1" in str(curve_problem(trace((1.0,)), expected, 9, 9))


def test_a_curve_of_this_environment_is_the_one_compared_with() -> None:
    curves = Curves(config=CONFIG, curves=(golden(torch="2.9"), golden(), golden(text_sha256="cd")))
    expected = curves.expected({**HERE, "python": "3.12.7"})
    assert (expected.golden, expected.stale) == (golden(), None)
    assert (expected.loss, expected.grad_norm) == (TOLERANCE_FACTOR * 1e-3, TOLERANCE_FACTOR * 1e-4)


@pytest.mark.parametrize(
    ("change", "loss"),
    [
        ({"torch": "2.15"}, TOLERANCE_FACTOR * 1e-3),
        ({"device": "cpu AVX2"}, TOLERANCE_FACTOR * 1e-3),
        ({"matrix_unit": "amx_tile"}, TOLERANCE_FACTOR * 1e-3),
        ({"text_sha256": "cd"}, SEED_VARIATION_FACTOR * 0.5),
        ({"device": "NVIDIA H100"}, SEED_VARIATION_FACTOR * 0.5),
    ],
)
def test_another_environment_is_stale_and_other_seeds_are_looser(change: dict[str, str], loss: float) -> None:
    expected = Curves(config=CONFIG, curves=(golden(),)).expected({**HERE, **change})
    assert expected.loss == loss
    ((name, value),) = change.items()
    assert expected.stale == f"{name} {HERE[name]}, here {value}"


def test_the_nearest_curve_is_taken_the_newest_torch_first() -> None:
    old, new, far = golden(torch="2.9"), golden(torch="2.14"), golden(torch="2.15", text_sha256="cd")
    assert Curves(config=CONFIG, curves=(old, far, new)).expected({**HERE, "torch": "2.16"}).golden == new


def test_slope_and_canaries_have_the_room_that_the_seeds_took() -> None:
    stored = golden()
    for fall, ok in (
        (0.1, True),
        (0.05, True),
        (0.15, True),
        (0.03, False),
        (0.17, False),
        (math.nan, False),
    ):
        found = stored.slope_problem(trace([7 - fall * step for step in range(16)]))
        assert (found is None) == ok, fall
    for norm, ok in ((1.0, True), (2.4, True), (2.6, False), (-0.6, False), (math.nan, False)):
        assert (stored.canary_problem(trace(norms=(norm, norm))) is None) == ok, norm
    blind = replace(stored, bands={"loudness": (0.0, 1.0)})
    assert "found none" in str(blind.canary_problem(trace()))


def test_what_is_stored_was_measured_over_the_seeds() -> None:
    run, oracle = trace(FALLING), trace([each + 1e-4 for each in FALLING], parameter=1.001)
    other = trace([each + 0.25 for each in FALLING], norms=[2.0] * 16)
    found = Golden.measured(run, [(run, oracle), (other, other)])
    assert found.rounding_error.loss == pytest.approx(1e-4)
    assert found.rounding_error.parameters == pytest.approx(1e-3, rel=1e-2)
    assert found.seed_variation == (pytest.approx(0.25), 1.0)
    assert found.slope == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1))
    assert found.bands["grad_norm"] == (1.0, 2.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_is_not_stored(wrong: float) -> None:
    good, bad = trace(FALLING), trace((*FALLING[:5], wrong, *FALLING[6:]))
    for run, seeds in ((bad, good), (good, bad)):
        with pytest.raises(StoredDataError, match="not finite: loss of step 5"):
            Golden.measured(run, [(seeds, good)])


def test_a_skipped_step_may_have_an_infinite_norm_and_no_other() -> None:
    skipped = Step(loss=1.0, grad_norm=math.inf, skipped=True)
    assert not_finite(replace(trace(), steps=(skipped,))) is None
    broken = replace(trace(), steps=(replace(skipped, skipped=False),))
    assert not_finite(broken) == "grad_norm of step 0 is inf"
    assert "parameter weight" in str(not_finite(trace(parameter=math.nan)))


def test_an_update_replaces_its_own_environment_only(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    stored = Curves(config=CONFIG, curves=(golden(), golden(torch="2.9")))
    save_golden(path, stored.with_curve(golden(8.0, 7.0, python="3.12.9")))
    loaded = load_golden(path, CONFIG)
    assert loaded is not None
    assert loaded.curves == (golden(torch="2.9"), golden(8.0, 7.0, python="3.12.9"))
    save_golden(tmp_path / "again.json", loaded)
    assert (tmp_path / "again.json").read_text() == path.read_text()


@given(st.lists(st.tuples(finite, finite), min_size=1))
def test_figures_keep_every_digit(figures: list[tuple[float, float]]) -> None:
    losses, norms = zip(*figures, strict=True)
    written = replace(golden(), losses=losses, grad_norms=norms)
    assert Golden.from_dict(json.loads(json.dumps(written.to_dict()))) == written
    kept = trace(losses, norms=norms)
    assert Trace.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept


def test_ci_never_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RequestError, match="CI"):
        save_golden(tmp_path / "curves.json", Curves(config=CONFIG, curves=(golden(),)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data.update(schema=1), "schema 2, found 1"),
        (lambda data: data.update(curves=[]), "at least one curve"),
        (lambda data: data["config"].update(n_layer=2), "another configuration"),
        (lambda data: data["curves"][0].pop("losses"), "malformed loss curve"),
        (lambda data: data["curves"][0]["losses"].append("9"), "finite numbers"),
        (lambda data: data["curves"][0]["bands"].update(grad_norm=[1.0]), "malformed loss curve"),
        (lambda data: data["curves"][0]["rounding"].pop("loss"), "malformed loss curve"),
        (lambda data: data["curves"][0]["environment"].pop("torch"), "malformed loss curve"),
    ],
)
def test_damaged_curves_are_refused_with_the_command(damage: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    save_golden(path, Curves(config=CONFIG, curves=(golden(),)))
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(StoredDataError, match=rf"{says}[\s\S]*--update-baselines"):
        load_golden(path, CONFIG)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2, "schema": 2}', '{"schema": NaN}'])
def test_files_that_are_no_curves_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(text)
    with pytest.raises(StoredDataError, match=r"curves\.json[\s\S]*--update-baselines"):
        load_golden(path, CONFIG)


def test_no_file_is_no_baseline(tmp_path: Path) -> None:
    assert load_golden(tmp_path / "none.json", CONFIG) is None
