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

from nanocheck.config import StepConfig
from nanocheck.errors import RequestError, StoredDataError
from nanocheck.step.curves import (
    OTHER_ARITHMETIC,
    OTHER_DRAWS,
    SAME,
    Curve,
    LossBaseline,
    Tolerance,
    decrease_problem,
    difference,
    load_baseline,
    save_baseline,
    start_problem,
    window_means,
)

CONFIG = StepConfig(n_layer=1, n_head=1, n_embd=8, dtype="fp32")
HERE = {
    "torch": "2.14",
    "device": "cpu AVX512",
    "matrix_unit": "none",
    "text_sha256": "ab",
    "python": "3.12.1",
}
finite = st.floats(min_value=-1e6, max_value=1e6)


def curve(*losses: float, **environment: str) -> Curve:
    return Curve(
        losses=losses or (10.0, 9.0),
        grad_norms=tuple(1.0 for _ in losses or (1, 2)),
        environment={**HERE, **environment},
    )


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_an_untrained_model_starts_at_ln_v() -> None:
    assert start_problem(curve(math.log(50304)), CONFIG) is None
    for wrong in (math.log(50304) / 4, 4 * math.log(50304), math.nan):
        assert "expected ln V = 10.8258" in str(start_problem(curve(wrong), CONFIG))


def test_every_window_must_lie_below_the_one_before() -> None:
    falling = [10 - 0.1 * step + (step % 3) for step in range(24)]
    assert decrease_problem(curve(*falling)) is None
    assert "does not fall" in str(decrease_problem(curve(*reversed(falling))))
    assert "does not fall" in str(decrease_problem(curve(*[5.0] * 24)))
    assert "does not fall" in str(decrease_problem(curve(*falling[:16], *[math.nan] * 8)))


@given(st.lists(finite, max_size=40))
def test_window_means_are_means(losses: list[float]) -> None:
    means = window_means(losses)
    assert len(means) == len(losses) // 8
    for number, mean in enumerate(means):
        assert mean == pytest.approx(sum(losses[8 * number : 8 * number + 8]) / 8)


@given(st.lists(finite, min_size=1), st.integers(min_value=0), st.floats(0.1, 10), st.booleans())
def test_a_difference_is_found_both_ways_at_any_step(
    losses: list[float], place: int, tolerance: float, up: bool
) -> None:
    step = place % len(losses)
    beyond, within = list(losses), list(losses)
    beyond[step] += 1.01 * tolerance if up else -1.01 * tolerance
    within[step] += 0.99 * tolerance if up else -0.99 * tolerance
    allowed = Tolerance(loss=tolerance, grad_norm=0.0)
    assert f"loss of step {step}:" in str(difference(curve(*beyond), curve(*losses), allowed))
    assert difference(curve(*within), curve(*losses), allowed) is None


def test_gradient_norms_count_too_and_nan_never_passes() -> None:
    expected = curve(1.0, 1.0)
    other = replace(expected, grad_norms=(1.0, 1.2))
    assert difference(other, expected, Tolerance(loss=1, grad_norm=0.25)) is None
    assert "gradient norm of step 1" in str(difference(other, expected, Tolerance(loss=1, grad_norm=0.1)))
    assert "loss of step 0" in str(difference(curve(math.nan, 1.0), expected, OTHER_DRAWS))
    assert "expected 2 steps, found 1" in str(difference(curve(1.0), expected, OTHER_DRAWS))


def test_a_curve_of_this_environment_is_compared_tightly() -> None:
    baseline = LossBaseline(config=CONFIG, curves=(curve(torch="2.9"), curve(), curve(text_sha256="cd")))
    expected = baseline.expected({**HERE, "python": "3.12.7"})
    assert (expected.curve, expected.stale) == (curve(), None)
    assert expected.tolerance == SAME["fp32"]


@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        ({"torch": "2.15"}, OTHER_ARITHMETIC),
        ({"device": "cpu AVX2"}, OTHER_ARITHMETIC),
        ({"matrix_unit": "amx_tile"}, OTHER_ARITHMETIC),
        ({"text_sha256": "cd"}, OTHER_DRAWS),
        ({"device": "NVIDIA H100"}, OTHER_DRAWS),
    ],
)
def test_another_environment_is_stale_and_loose(change: dict[str, str], tolerance: Tolerance) -> None:
    expected = LossBaseline(config=CONFIG, curves=(curve(),)).expected({**HERE, **change})
    assert expected.tolerance == tolerance
    ((name, value),) = change.items()
    assert expected.stale == f"{name} {HERE[name]}, here {value}"


def test_the_nearest_curve_is_taken_the_newest_torch_first() -> None:
    old, new, far = curve(torch="2.9"), curve(torch="2.14"), curve(torch="2.15", text_sha256="cd")
    baseline = LossBaseline(config=CONFIG, curves=(old, far, new))
    assert baseline.expected({**HERE, "torch": "2.16"}).curve == new


def test_an_update_replaces_its_own_environment_only(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    baseline = LossBaseline(config=CONFIG, curves=(curve(), curve(torch="2.9")))
    save_baseline(path, baseline.with_curve(curve(8.0, 7.0, python="3.12.9")))
    loaded = load_baseline(path, CONFIG)
    assert loaded is not None
    assert loaded.curves == (curve(torch="2.9"), curve(8.0, 7.0, python="3.12.9"))
    save_baseline(tmp_path / "again.json", loaded)
    assert (tmp_path / "again.json").read_text() == path.read_text()


@given(st.lists(st.tuples(finite, finite), min_size=1))
def test_figures_keep_every_digit(figures: list[tuple[float, float]]) -> None:
    losses, norms = zip(*figures, strict=True)
    written = Curve(losses=losses, grad_norms=norms, environment=HERE)
    assert Curve.from_dict(json.loads(json.dumps(written.to_dict()))) == written


def test_ci_never_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RequestError, match="must not change what it is compared with"):
        save_baseline(tmp_path / "curves.json", LossBaseline(config=CONFIG, curves=(curve(),)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data.update(schema=2), "schema 1, found 2"),
        (lambda data: data.update(curves=[]), "at least one curve"),
        (lambda data: data["config"].update(n_layer=2), "another configuration"),
        (lambda data: data["curves"][0].pop("losses"), "malformed loss curve"),
        (lambda data: data["curves"][0]["losses"].append("9"), "finite numbers"),
        (lambda data: data["curves"][0]["environment"].pop("torch"), "malformed loss curve"),
    ],
)
def test_damaged_curves_are_refused_with_the_command(damage: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    save_baseline(path, LossBaseline(config=CONFIG, curves=(curve(),)))
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(StoredDataError, match=rf"{says}[\s\S]*--update-baselines"):
        load_baseline(path, CONFIG)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1, "schema": 1}', '{"schema": NaN}'])
def test_files_that_are_no_curves_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(text)
    with pytest.raises(StoredDataError, match=r"curves\.json[\s\S]*--update-baselines"):
        load_baseline(path, CONFIG)


def test_no_file_is_no_baseline(tmp_path: Path) -> None:
    assert load_baseline(tmp_path / "none.json", CONFIG) is None
