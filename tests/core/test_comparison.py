"""What a comparison with a baseline finds: equal, worse, better, stale, missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import DEVICE, device, environment, oom_result, peaks, result
from stored_baselines import stored_at

from nanocheck.core.baselines import Baseline, Expected
from nanocheck.core.comparison import compare
from nanocheck.core.config import StepConfig
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES
from nanocheck.pytest_plugin.baselines import Baselines

COMMAND = "pytest suites/ --gpu rtx4070 --update-baselines"


pytestmark = pytest.mark.usefixtures("at_home")


def compared(expected: RunResult, found: RunResult) -> Any:
    return compare(found, Baseline.header_of(expected, {expected.id: Expected.of(expected)}))


def test_equal_is_equal_and_cites_the_numbers() -> None:
    comparison = compared(result(), result())
    assert (comparison.kind, comparison.fails) == ("equal", False)
    assert "8,000.00 MiB allocated" in comparison.sentence
    assert compared(oom_result(), oom_result()).kind == "equal"


@given(
    size=st.integers(1, 1 << 34),
    which=st.sampled_from(["allocated_bytes", "reserved_bytes"]),
    at=st.integers(0, 8),
)
def test_any_byte_more_is_a_regression_and_any_byte_less_must_be_accepted(
    size: int, which: str, at: int
) -> None:
    low = peaks(1 << 20, 1 << 21)
    high = tuple(
        msgspec.structs.replace(peak, **{which: getattr(peak, which) + size}) if index == at else peak
        for index, peak in enumerate(low)
    )
    worse, better = (
        compared(result(peaks=low), result(peaks=high)),
        compared(result(peaks=high), result(peaks=low)),
    )
    assert (worse.kind, better.kind) == ("regressed", "improved")
    assert worse.fails
    assert better.fails
    assert f"{size:+d} bytes" in worse.sentence
    assert f"{-size:+d} bytes" in better.sentence
    assert COMMAND in worse.hint


def test_a_regression_tells_expected_found_mib_and_percent() -> None:
    said = compared(result(), result(peaks=peaks(8080 * MIB))).sentence
    assert "backward allocated: expected 8,000.00 MiB, found 8,080.00 MiB (+80.00 MiB" in said
    assert "+1.000%" in said


def test_better_in_one_phase_and_worse_in_another_is_a_regression() -> None:
    changed = tuple(
        msgspec.structs.replace(
            peak,
            allocated_bytes=peak.allocated_bytes + {"forward": -512, "optimizer": 512}.get(peak.phase, 0),
        )
        for peak in peaks()
    )
    assert compared(result(), result(peaks=changed)).kind == "regressed"


@pytest.mark.parametrize(
    ("found", "kind", "said"),
    [
        (
            oom_result(StepConfig()),
            "regressed",
            "found oom (backward of step 0 asking for 1,648,361,472 bytes)",
        ),
        (result(outcome="crashed"), "regressed", "found crashed"),
        (result(attention="math"), "regressed", "attention backend: expected flash, found math"),
        (result(retries=1), "regressed", "allocator retries: expected 0, found 1"),
        (
            result(peaks=(*peaks(), msgspec.structs.replace(peaks()[0], phase="evaluation"))),
            "regressed",
            "evaluation: a phase not in",
        ),
        (result(peaks=peaks()[:2]), "regressed", "optimizer: a phase only in the baseline"),
    ],
)
def test_what_else_differs(found: RunResult, kind: str, said: str) -> None:
    comparison = compared(result(), found)
    assert comparison.kind == kind
    assert said in comparison.sentence


def test_an_oom_that_no_longer_dies_or_asks_for_another_size() -> None:
    assert compared(oom_result(StepConfig()), result()).kind == "improved"
    died = oom_result()
    assert died.oom is not None
    more = oom_result(oom=msgspec.structs.replace(died.oom, requested_bytes=died.oom.requested_bytes + 512))
    later = oom_result(oom=msgspec.structs.replace(died.oom, step=2))
    assert compared(died, more).kind == "regressed"
    assert compared(more, died).kind == "improved"
    assert compared(died, later).kind == "regressed"


@given(thousandths=st.integers(-20, 20))
def test_measured_peaks_may_differ_by_the_stated_tolerance_both_ways(thousandths: int) -> None:
    base = 8_000_000_000
    one = result(provenance="measured", peaks=peaks(base, base))
    other = result(provenance="measured", peaks=peaks(base + thousandths * base // 1000, base))
    kind = compared(one, other).kind
    assert kind == ("equal" if abs(thousandths) <= 5 else "regressed" if thousandths > 0 else "improved")


def test_measured_retries_only_need_to_be_some_or_none() -> None:
    once, twice, never = (result(provenance="measured", retries=count) for count in (1, 2, 0))
    assert compared(once, twice).kind == "equal"
    assert compared(never, once).kind == "regressed"
    assert compared(once, never).kind == "improved"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"environment": environment(torch="2.9.1+cu128")},
            "made with torch 2.14.1+cu130, this run has torch 2.9.1",
        ),
        ({"environment": environment(cuda="12.8")}, "made with cuda 13.0, this run has cuda 12.8"),
        ({"provenance": "measured"}, "made from virtual runs, this run is measured"),
        ({"device": device(context_bytes=1)}, "made for context_bytes"),
        ({"device": device(capability="9.0")}, "another profile of this card"),
    ],
)
def test_against_another_environment_the_verdict_is_held_and_bytes_are_told(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    stored_at(tmp_path)
    comparison = Baselines(tmp_path).compare(result(peaks=peaks(1, 1), **changes))
    assert (comparison.kind, comparison.fails) == ("drifted", False)
    assert said in comparison.sentence
    assert "; drift: allocated -" in comparison.sentence
    assert COMMAND in comparison.hint
    died = Baselines(tmp_path).compare(result(outcome="oom", **changes))
    assert (died.kind, died.fails) == ("regressed", True)
    assert said in died.sentence


def test_against_another_environment_safe_may_not_become_tight(tmp_path: Path) -> None:
    stored_at(tmp_path)
    newer = environment(torch="2.15.0+cu130")
    room = DEVICE.surely_available_bytes - DEFAULT_MARGIN_BYTES
    for reserved, kind in ((room, "drifted"), (room + 1, "regressed")):
        found = result(peaks=peaks(1, reserved), environment=newer)
        assert Baselines(tmp_path).compare(found).kind == kind
        looser = Baselines(tmp_path, margin_bytes=DEFAULT_MARGIN_BYTES - 1)
        assert looser.compare(found).kind == "drifted"


def test_another_environments_baseline_without_this_configuration_judges_nothing(tmp_path: Path) -> None:
    stored_at(tmp_path)
    newer = environment(torch="2.15.0+cu130")
    comparison = Baselines(tmp_path).compare(result(StepConfig(batch=2), environment=newer))
    assert (comparison.kind, comparison.fails) == ("stale", False)


def test_python_and_nanocheck_versions_do_not_make_a_baseline_stale(tmp_path: Path) -> None:
    stored_at(tmp_path)
    other = result(environment=environment(python="3.13.0", nanocheck="9.9"))
    assert Baselines(tmp_path).compare(other).kind == "equal"


def test_a_missing_baseline_fails_with_the_command(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", stored_at(tmp_path).parent.parent):
        comparison = Baselines(folder).compare(result(StepConfig(batch=2)))
        assert (comparison.kind, comparison.fails, comparison.hint) == ("missing", True, COMMAND)
        assert "gpt2-768-b2-a1-bf16-eager: expected a baseline, found none" in comparison.sentence


def test_a_reserve_has_no_baseline_of_the_bare_card(tmp_path: Path) -> None:
    stored_at(tmp_path)
    reserved = result(StepConfig(batch=8), device=device(reserve_bytes=2048 * MIB))
    assert Baselines(tmp_path).compare(reserved).kind == "missing"


def test_the_nearest_other_environment_is_told(tmp_path: Path) -> None:
    Baselines(tmp_path).update([result(environment=environment(torch="2.9.1"))])
    Baselines(tmp_path).update([result(provenance="measured")])
    new = result(environment=environment(torch="2.15.0"))
    assert "torch 2.9.1" in Baselines(tmp_path).compare(new).sentence
    for torch in ("2.14.1", "2.6.0"):
        Baselines(tmp_path).update([result(environment=environment(torch=torch))])
    assert "torch 2.14.1" in Baselines(tmp_path).compare(new).sentence
