"""Baselines: the file, what a damaged one says, and what a comparison finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import device, environment, oom_result, peaks, result

from nanocheck.core import files
from nanocheck.core.baselines import Baseline, Expected, baseline_path, dumps, load
from nanocheck.core.comparison import compare
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import MachineError, RequestError, StoredDataError
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.pytest_plugin.baselines import Baselines

COMMAND = "pytest suites/ --gpu rtx4070 --update-baselines"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def three() -> list[RunResult]:
    return [
        result(StepConfig(batch=8)),
        result(StepConfig(batch=4), peaks=peaks(4000 * MIB, 5000 * MIB)),
        oom_result(StepConfig(n_embd=576, batch=16, compile="default")),
    ]


def stored_at(folder: Path, results: list[RunResult] | None = None) -> Path:
    results = results or three()
    Baselines(folder).update(results)
    return baseline_path(folder, results[0])


# --- the file ---------------------------------------------------------------------------------------------


def test_one_line_per_configuration_sorted_with_its_environment(tmp_path: Path) -> None:
    path = stored_at(tmp_path)
    assert path == tmp_path / "rtx4070" / "linux-torch2.14.1+cu130-virtual.json"
    lines = path.read_text().splitlines()
    rows = [line for line in lines if '"outcome"' in line]
    assert [row.split('"')[1] for row in rows] == sorted(each.id for each in three())
    data = json.loads(path.read_text())
    assert (data["schema"], data["provenance"], data["tolerance"]) == (1, "virtual", 0.0)
    assert data["environment"] == {"cuda": "13.0", "nanocheck": "0.1.0", "torch": "2.14.1+cu130"}
    assert data["card"]["gpu"] == "rtx4070"


def test_read_back_it_is_the_same(tmp_path: Path) -> None:
    baseline = load(stored_at(tmp_path))
    assert baseline == Baseline.header_of(three()[0], {each.id: Expected.of(each) for each in three()})
    assert dumps(baseline) == (stored_at(tmp_path)).read_text()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"reserve_bytes": 2450 * MIB}, "linux-reserve2450MiB-torch2.14.1+cu130-virtual.json"),
        ({"platform": "windows"}, "windows-torch2.14.1+cu130-virtual.json"),
        ({"capped_from": "NVIDIA L40S"}, "linux-capped-NVIDIA_L40S-torch2.14.1+cu130-virtual.json"),
    ],
)
def test_another_amount_of_memory_is_another_file(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    assert baseline_path(tmp_path, result(device=device(**changes))).name == name


def damaged(change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda path: path.write_text(change(path.read_text()), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damaged(lambda text: ""), "cut short"),
        (damaged(lambda text: text[: len(text) // 2]), "not JSON"),
        (damaged(lambda text: text[: text.rindex("}")]), "cut short"),
        (lambda path: path.write_bytes(b"\x80" + path.read_bytes()), "expected UTF-8, found byte 0x80 at 0"),
        (damaged(lambda text: text.replace(' "tolerance": 0.0', ' "tolerance": NaN')), "found NaN"),
        (
            damaged(lambda text: text.replace(' "tolerance": 0.0', ' "tolerance": -Infinity')),
            "found -Infinity",
        ),
        (damaged(lambda text: text.replace(' "tolerance": 0.0', ' "tolerance": 1e999')), "found 1e999"),
        (damaged(lambda text: text.replace('"profile"', '"provenance"')), "key 'provenance' is duplicated"),
        (
            damaged(lambda text: text.replace("gpt2-768-b8-", "gpt2-768-b4-")),
            "key 'gpt2-768-b4-a1-bf16-eager' is duplicated",
        ),
        (
            damaged(lambda text: text.replace('"schema": 1', '"schema": 2')),
            "found 2 (written by a newer nanocheck)",
        ),
        (damaged(lambda text: text.replace('"schema": 1', '"schema": true')), "found True"),
        (damaged(lambda text: text.replace('"schema": 1', '"schema": "1"')), "found '1'"),
        (damaged(lambda text: "[]"), "found 'list'"),
        (damaged(lambda text: text.replace(' "profile"', ' "profil"')), "missing required field `profile`"),
        (
            damaged(lambda text: text.replace(' "tolerance": 0.0', ' "tolerance": "0"')),
            "Expected `float`, got `str` - at `$.tolerance`",
        ),
        (
            damaged(lambda text: text.replace(' "tolerance": 0.0', ' "tolerance": -0.5')),
            "Expected `float` >= 0.0 - at `$.tolerance`",
        ),
        (damaged(lambda text: text.replace('"virtual"', '"imagined"')), "'imagined' - at `$.provenance`"),
        (
            damaged(lambda text: text.replace("[8388608000", "[8388608000.0")),
            "Expected `int`, got `float` - at `$.peaks",
        ),
        (damaged(lambda text: text.replace("[8388608000", "[-1")), "Expected `int` >= 0 - at `$.peaks"),
        (
            damaged(lambda text: text.replace('"retries": 1', '"retries": true')),
            "Expected `int`, got `bool` - at `$.retries`",
        ),
        (
            damaged(lambda text: text.replace('"backward", 0', '"backward", null')),
            "Expected `int`, got `null` - at `$.oom[1]`",
        ),
        (
            damaged(lambda text: text.replace("[8388608000", "[8388608001")),
            "edited by hand, merged or damaged",
        ),
        (
            damaged(lambda text: text.replace(" 9437184000", "  9437184000")),
            "edited by hand, merged or damaged",
        ),
        (damaged(lambda text: "<<<<<<< ours\n" + text), "unresolved merge"),
        (damaged(lambda text: '{"a":' * 100_000), "flat objects"),
        (damaged(lambda text: '{"a":' + "9" * 5000 + "}"), "finite numbers"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong_and_the_command(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    path = stored_at(tmp_path)
    damage(path)
    with pytest.raises(StoredDataError) as caught:
        Baselines(tmp_path).compare(three()[0])
    assert said in caught.value.problem
    assert str(path) in caught.value.problem
    assert caught.value.hint == COMMAND


def test_the_line_of_a_damage_is_named(tmp_path: Path) -> None:
    path = stored_at(tmp_path)
    lines = path.read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "gpt2-768-b8" in line)
    lines[number - 1] = lines[number - 1].replace('"retries": 0', '"retries": -7')
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoredDataError, match=rf"json:{number}: malformed gpt2-768-b8-a1-bf16-eager: "):
        load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_one_byte_passes_silently(tmp_path: Path, data: st.DataObject) -> None:
    path = stored_at(tmp_path)
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1), label="at")
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != good[at]), label="byte")
    how = data.draw(st.sampled_from(["replace", "insert", "delete"]), label="how")
    middle = {"replace": bytes([byte]), "insert": bytes([byte, good[at]]), "delete": b""}[how]
    path.write_bytes(good[:at] + middle + good[at + 1 :])
    with pytest.raises(StoredDataError):
        load(path)
    path.unlink()


# --- what a comparison finds ------------------------------------------------------------------------------


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
def test_another_environment_is_stale_and_judges_nothing(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    stored_at(tmp_path)
    comparison = Baselines(tmp_path).compare(result(peaks=peaks(1, 1), **changes))
    assert (comparison.kind, comparison.fails) == ("stale", False)
    assert said in comparison.sentence
    assert COMMAND in comparison.hint


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


# --- accepting --------------------------------------------------------------------------------------------


def test_an_update_keeps_what_was_not_run_and_counts(tmp_path: Path) -> None:
    stored_at(tmp_path)
    update = Baselines(tmp_path).update(
        [result(StepConfig(batch=8), peaks=peaks(1, 1)), result(StepConfig(batch=2)), three()[1]]
    )
    assert (update.created, update.changed, update.unchanged, update.removed) == (1, 1, 1, 0)
    assert len(load(update.paths[0]).configurations) == 4


def test_a_whole_update_removes_unused_baselines_and_fixes_a_damaged_file(tmp_path: Path) -> None:
    path = stored_at(tmp_path)
    results = three()[:2]
    known = [each.id for each in results]
    assert Baselines(tmp_path).unused(results, known) == [three()[2].id]
    assert Baselines(tmp_path).update(results, keep_only=known).removed == 1
    assert set(load(path).configurations) == set(known)
    path.write_text("damaged")
    assert Baselines(tmp_path).update(results, keep_only=known).created == 2
    path.write_text("damaged")
    with pytest.raises(StoredDataError):
        Baselines(tmp_path).update(results)
    assert path.read_text() == "damaged"


@pytest.mark.parametrize("outcome", ["crashed", "timeout"])
def test_no_answer_is_never_stored(tmp_path: Path, outcome: str) -> None:
    with pytest.raises(RequestError, match=f"found {outcome}"):
        Baselines(tmp_path).update([*three(), result(StepConfig(batch=1), outcome=outcome)])
    assert not any(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_ci_only_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(RequestError, match="CI only reads baselines"):
        Baselines(tmp_path).update(three())
    assert not any(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored_at(tmp_path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(MachineError, match="No space left on device"):
        Baselines(tmp_path).update([result(StepConfig(batch=8), peaks=peaks(1, 1))])
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_baseline_of_a_changed_card_is_replaced_not_mixed(tmp_path: Path) -> None:
    stored_at(tmp_path)
    changed = result(StepConfig(batch=2), device=device(context_bytes=1))
    path = Baselines(tmp_path).update([changed]).paths[0]
    assert set(load(path).configurations) == {changed.id}
