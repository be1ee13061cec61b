"""How long a step takes: what counts, what is refused, and that memory comes first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_verification import (
    CARD,
    CASES,
    LEAST,
    MODELLED,
    MOST,
    STEP,
    FakeSide,
    begun,
    measured,
    observed,
    of_rows,
    verified,
)
from msgspec.structs import replace

from nanocheck.cli.verify import exit_code
from nanocheck.core.errors import StoredDataError
from nanocheck.core.result import Provenance
from nanocheck.core.steadiness import Seconds
from nanocheck.report.verify_words import step_time
from nanocheck.verify import predictions, record
from nanocheck.verify.observed import Observed
from nanocheck.verify.predictions import Predictions
from nanocheck.verify.step_time import StepReadings
from nanocheck.verify.verification import INTERRUPTED, Clock, predict

TIMED = [case.id for case in CASES if case.timed]


@given(st.floats(0.005, 0.5), st.floats(0.05, 0.3))
def test_the_speed_after_the_warm_up_counts(steady_s: float, burst: float) -> None:
    """A card that needs a second until it has the speed that it keeps."""
    now = 0.0
    readings = StepReadings(30.0, lambda: now)
    while not readings.enough:
        each = steady_s * (1 - burst * max(0.0, 1 - now))
        now += each
        readings.add(each)
    found = readings.seconds()
    assert readings.settled
    assert found is not None
    assert found.median_s == pytest.approx(steady_s, rel=0.01)


@given(st.floats(0.01, 0.3))
def test_a_step_that_keeps_getting_slower_ends_at_the_limit_and_has_not_settled(first_s: float) -> None:
    now, each = 0.0, first_s
    readings = StepReadings(12.0, lambda: now)
    while not readings.enough:
        now += each
        readings.add(each)
        each *= 1.02
    assert not readings.settled
    assert now <= 12.0 + each


def test_steps_are_timed_after_all_cases_and_only_where_asked() -> None:
    order: list[str] = []
    real = FakeSide(lambda case: order.append(case.id) or measured())
    found, kept = verified(real, FakeSide(lambda _: observed()))
    assert TIMED
    assert real.timed == TIMED
    assert [row.id for row in found.rows if row.time == replace(STEP, modelled=MODELLED)] == TIMED
    assert not any(row.time for row in kept[len(CASES) - 1].rows)
    assert exit_code(found) == 0


def test_only_the_virtual_card_is_asked_for_a_model_and_only_of_what_was_timed() -> None:
    real, virtual = FakeSide(lambda _: measured()), FakeSide(lambda _: observed())
    verified(real, virtual)
    assert (real.modelled, virtual.modelled) == ([], TIMED)


def test_a_model_can_be_predicted_before_and_is_part_of_the_hash(tmp_path: Path) -> None:
    virtual = FakeSide(lambda _: observed())
    done = predict(CASES, virtual, clock=Clock(8), show=lambda *_: None)
    assert [each.id for each in done if each.modelled == MODELLED] == TIMED == virtual.modelled
    file = Predictions(
        date="2026-11-26",
        gpu="h100",
        virtual_card=CARD,
        context_least_bytes=LEAST,
        context_most_bytes=MOST,
        environment=begun().environment,
        predictions=done,
    )
    other = replace(file, predictions=tuple(replace(each, modelled=msgspec.UNSET) for each in done))
    assert file.sha256 != other.sha256
    assert "modelled" not in msgspec.to_builtins(other)["predictions"][0], "older files keep their hash"
    predictions.save(tmp_path, file)
    assert predictions.load(tmp_path) == file
    found, _ = verified(FakeSide(lambda _: measured()), file)
    assert [row.id for row in found.rows if row.time and row.time.modelled == MODELLED] == TIMED


def test_where_the_time_is_used_up_memory_has_it() -> None:
    passed = 0.0

    def after(seconds: float, seen: Observed) -> Observed:
        nonlocal passed
        passed += seconds
        return seen

    real = FakeSide(lambda _: after(117.0, measured()))
    virtual = FakeSide(lambda _: after(2.0, observed()))
    found, _ = verified(real, virtual, clock=Clock(8, now=lambda: passed))
    assert len(real.ran) == len(CASES)
    assert not real.timed
    assert found.complete


def test_an_interruption_while_steps_are_timed_keeps_the_memory() -> None:
    class Stops(FakeSide):
        def time(self, case: object, limit_s: float) -> object:  # type: ignore[override]
            raise KeyboardInterrupt

    found, _ = verified(Stops(lambda _: measured()), FakeSide(lambda _: observed()))
    assert [row.time.refused for row in found.rows if row.time] == [INTERRUPTED]
    assert exit_code(found) == 130


def test_seconds_that_cannot_be_are_refused_when_read(tmp_path: Path) -> None:
    noisy = Seconds.of([0.01, 0.02] * 10)
    wrong = {
        "noise": replace(STEP, seconds=noisy),
        "of the virtual card": replace(STEP, provenance=Provenance.VIRTUAL),
        "none, and no word": replace(STEP, seconds=None),
        "never settled": replace(STEP, settled=False),
        "modelled as nothing": replace(STEP, modelled=replace(MODELLED, seconds=0.0)),
        "an interval that ends first": replace(STEP, modelled=replace(MODELLED, low_s=0.02)),
    }
    path = tmp_path / "verify.json"
    file = of_rows((measured(), observed()))
    for name, time in wrong.items():
        record.save(path, replace(file, rows=(replace(file.rows[0], time=time),)))
        with pytest.raises(StoredDataError):
            pytest.fail(f"{name}: {record.load(path)}")
    good = replace(file, rows=(replace(file.rows[0], time=STEP),))
    record.save(path, good)
    assert record.load(path) == good


def test_what_is_shown_says_that_it_was_measured_or_why_it_does_not_count() -> None:
    row = of_rows((measured(), observed())).rows[0]
    assert step_time(row) == ""
    said = step_time(replace(row, time=STEP))
    assert "12.30 ms, measured" in said
    assert "431 W" in said
    assert "modelled" not in said
    said = step_time(replace(row, time=replace(STEP, modelled=MODELLED)))
    assert "modelled 11.00 ms (-10.6%), 80 % within 10.50 to 14.30" in said
    refused = replace(STEP, refused="noisy", modelled=MODELLED)
    assert refused.off is None, "nothing that counts to hold it against"
    assert "%)" not in step_time(replace(row, time=refused))
    assert "does not count: noisy" in step_time(replace(row, time=replace(STEP, refused="noisy")))
