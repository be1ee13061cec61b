"""Baselines: the file, what a damaged one says, and what a comparison finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import device, peaks, result
from stored_baselines import stored_at, three

from nanocheck.core import files
from nanocheck.core.baselines import Baseline, Expected, baseline_path, dumps, load
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import MachineError, RequestError, StoredDataError
from nanocheck.core.units import MIB
from nanocheck.pytest_plugin.baselines import Baselines

COMMAND = "pytest suites/ --gpu rtx4070 --update-baselines"


pytestmark = pytest.mark.usefixtures("at_home")


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
    with pytest.raises(MachineError, match="No space left on device") as caught:
        Baselines(tmp_path).update([result(StepConfig(batch=8), peaks=peaks(1, 1))])
    assert "free some space" in str(caught.value.hint)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_baseline_of_a_changed_card_is_replaced_not_mixed(tmp_path: Path) -> None:
    stored_at(tmp_path)
    changed = result(StepConfig(batch=2), device=device(context_bytes=1))
    path = Baselines(tmp_path).update([changed]).paths[0]
    assert set(load(path).configurations) == {changed.id}
