"""The loop over the cases: what one costs the others, and what is kept."""

from __future__ import annotations

import pytest
from made_up_verification import CASES, FakeSide, measured, observed, verified
from msgspec.structs import replace

from nanocheck.cli.verify import exit_code
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Environment, Outcome
from nanocheck.verify.cases import Case
from nanocheck.verify.observed import Observed
from nanocheck.verify.predictions import Predictions
from nanocheck.verify.record import State
from nanocheck.verify.verification import INTERRUPTED, Clock, predict

REAL = FakeSide(lambda _: measured())
NAMES = [case.id for case in CASES]


def test_each_case_runs_on_the_real_card_and_then_on_the_virtual_one() -> None:
    order: list[str] = []
    real = FakeSide(lambda case: order.append(f"real {case.id}") or measured())
    virtual = FakeSide(lambda case: order.append(f"virtual {case.id}") or observed())
    found, _ = verified(real, virtual)
    assert order == [f"{side} {name}" for name in NAMES for side in ("real", "virtual")]
    assert [row.state for row in found.rows] == [State.EQUAL] * len(CASES)
    assert found.complete
    assert exit_code(found) == 0


def test_a_case_that_fails_costs_no_other() -> None:
    def second_dies(case: Case) -> Observed:
        dead = Observed(provenance=measured().provenance, outcome=Outcome.CRASHED, detail="boom")
        return dead if case.id == NAMES[1] else measured()

    found, _ = verified(FakeSide(second_dies), FakeSide(lambda _: observed()))
    assert [row.state for row in found.rows] == [State.EQUAL, State.DIFFERS, State.EQUAL, State.EQUAL]
    assert exit_code(found) == 1


def test_everything_so_far_is_kept_after_each_case() -> None:
    _, kept = verified(REAL, FakeSide(lambda _: observed()))
    assert [file.counts[State.EQUAL] for file in kept] == [1, 2, 3, 4, *[4] * (len(kept) - 4)]
    assert {len(file.rows) for file in kept} == {4}  # what is left is named in each


@pytest.mark.parametrize("side", ["real", "virtual"])
def test_an_interruption_keeps_what_there_is(side: str) -> None:
    def interrupted(case: Case) -> Observed:
        if case.id == NAMES[2]:
            raise KeyboardInterrupt
        return measured() if side == "real" else observed()

    real = FakeSide(interrupted) if side == "real" else REAL
    virtual = FakeSide(interrupted) if side == "virtual" else FakeSide(lambda _: observed())
    found, kept = verified(real, virtual)
    assert [row.not_run for row in found.rows] == ["", "", INTERRUPTED, INTERRUPTED]
    assert not found.complete
    assert kept[-1] == found
    assert exit_code(found) == 130


def test_what_the_time_does_not_suffice_for_is_not_run() -> None:
    now = [0.0]

    def slow(_: Case) -> Observed:
        now[0] += 25
        return measured()

    virtual = FakeSide(lambda _: observed())
    found, _ = verified(FakeSide(slow), virtual, clock=Clock(1, lambda: now[0]))
    assert virtual.ran == NAMES[:2]
    assert [row.state for row in found.rows] == [State.EQUAL] * 2 + [State.NOT_RUN] * 2
    assert "--minutes" in found.rows[3].not_run
    assert not found.complete
    assert exit_code(found) == 5


def test_a_case_that_was_begun_too_late_was_not_slow() -> None:
    now = [0.0]

    def too_late(_: Case) -> Observed:
        now[0] += 50
        return Observed(provenance=measured().provenance, outcome=Outcome.TIMEOUT)

    found, _ = verified(FakeSide(too_late), FakeSide(lambda _: observed()), clock=Clock(1, lambda: now[0]))
    assert {row.state for row in found.rows} == {State.NOT_RUN}
    assert exit_code(found) == 6  # nothing could be compared


def test_a_missing_package_is_said_and_no_fault() -> None:
    absent = Case(id="absent", tries="x", script="plain_gpt.py", needs="no_such_package_of_ours")
    found, _ = verified(REAL, FakeSide(lambda _: observed()), cases=(CASES[0], absent))
    assert [row.not_run for row in found.rows] == ["", "no no_such_package_of_ours"]
    assert exit_code(found) == 0


def predictions(*cases: Case) -> Predictions:
    done = predict(cases, FakeSide(lambda _: observed()), clock=Clock(8), show=lambda *_: None)  # type: ignore[arg-type]
    file = verified(REAL, FakeSide(lambda _: observed()), cases=())[0]
    return Predictions(
        date="2026-11-26",
        gpu="h100",
        virtual_card=file.virtual_card,
        context_least_bytes=file.context_least_bytes,
        context_most_bytes=file.context_most_bytes,
        environment=Environment(torch="2.11.0"),
        predictions=done,
    )


def test_predictions_are_compared_with_instead_of_running_again() -> None:
    found, _ = verified(REAL, predictions(*CASES))
    assert [row.virtual for row in found.rows] == [observed()] * len(CASES)
    assert exit_code(found) == 0


def test_a_case_that_is_another_by_now_is_refused_before_anything_runs() -> None:
    real = FakeSide(lambda _: measured())
    found = predictions(*CASES)
    first = replace(found.predictions[0], case_sha256="0" * 64)
    for changed in (
        replace(found, predictions=(first, *found.predictions[1:])),
        replace(found, predictions=found.predictions[1:]),
    ):
        with pytest.raises(RequestError, match=CASES[0].id):
            verified(real, changed)
    assert real.ran == []


def test_another_torch_than_that_of_the_predictions_is_refused() -> None:
    found = predictions(*CASES)
    found.check_software(Environment(torch="2.11.0"))
    with pytest.raises(RequestError, match=r"2\.11\.0"):
        found.check_software(Environment(torch="2.12.0"))
