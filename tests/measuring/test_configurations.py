"""Configurations become results, whatever happens, and none is computed twice."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paths import HELPERS

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.measuring.configurations import Measurement, measure
from nanocheck.process.jobs import Deadlines
from nanocheck.process.journal import Journal


def target(gpu: str = "rtx4070", kind: str = "cpu") -> Target:
    """The CPU, so that no virtual GPU is built."""
    return Target(kind=kind, gpu=find_gpu(gpu))


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts"
    path.touch()
    return path


@pytest.fixture
def options(counts: Path) -> dict[str, Any]:
    return {
        "task": "process_tasks:result",
        "preload": [],
        "launch_environment": {"PYTHONPATH": str(HELPERS), "COUNT_FILE": str(counts)},
        "deadlines": Deadlines(stages={"hanging": 0.3}),
    }


def configs(*batches: int, **fields: Any) -> list[StepConfig]:
    return [StepConfig(batch=batch, **fields) for batch in batches]


def only(config: StepConfig, options: dict[str, Any]) -> RunResult:
    (result,) = measure([config], target(), **options)
    assert result.config == config
    # Whatever it is, it can be stored.
    assert msgspec.convert(msgspec.to_builtins(result), RunResult) == result
    return result


def test_records_for_all_configurations(options: dict[str, Any]) -> None:
    wanted = configs(1, 2, 101)
    results = {result.id: result for result in measure(wanted, target(), **options)}
    assert [results[config.id].outcome for config in wanted] == ["completed", "completed", "oom"]
    assert {"start", "import", "run", "step"} <= set(results[wanted[0].id].seconds)


def test_a_configuration_asked_for_twice_runs_once(options: dict[str, Any], counts: Path) -> None:
    assert len(list(measure(configs(1, 1, 2, 1), target(), **options))) == 2
    assert sorted(counts.read_text().split()) == ["1", "2"]


def test_a_crash_keeps_the_peaks_reached_and_says_why(options: dict[str, Any]) -> None:
    result = only(StepConfig(seed=1), options)
    assert result.outcome == "crashed"
    assert [(peak.phase, peak.allocated_bytes) for peak in result.main.peaks] == [
        ("build", 1),
        ("forward", 7),
    ]
    assert "SIGABRT" in result.detail
    assert "last words" in result.detail
    assert result.environment.torch == "1.2.3"
    assert result.device == target().device


def test_what_this_machine_cannot_do_is_unsupported(options: dict[str, Any]) -> None:
    result = only(StepConfig(seed=2), options)
    assert result.outcome == "unsupported"
    assert "no such GPU here" in result.detail
    assert "hint: buy one" in result.detail
    assert "in result" in result.detail


def test_a_hang_is_a_timeout(options: dict[str, Any]) -> None:
    result = only(StepConfig(seed=3), options)
    assert result.outcome == "timeout"
    assert "'hanging'" in result.detail
    assert "in hang_here" in result.detail


def test_a_worker_that_returns_no_record(options: dict[str, Any]) -> None:
    result = only(StepConfig(seed=4), options)
    assert (result.outcome, "no result" in result.detail) == ("crashed", True)


def test_malformed_partial_peaks_are_told(options: dict[str, Any]) -> None:
    result = only(StepConfig(seed=5), options)
    assert (result.outcome, result.main.peaks) == ("crashed", ())
    assert "malformed partial result" in result.detail
    assert "ValueError: odd" in result.detail


def test_the_allocator_is_chosen_by_the_configuration_alone(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "from:user")
    assert only(StepConfig(), options).main.allocator_settings == ","
    expandable = only(StepConfig(allocator="expandable"), options)
    assert expandable.main.allocator_settings == "expandable_segments:True,expandable_segments:True"


def test_hashes_do_not_differ_between_runs(options: dict[str, Any]) -> None:
    assert only(StepConfig(), options).environment.python == "0"


def test_an_interrupted_run_computes_nothing_twice(
    options: dict[str, Any], counts: Path, tmp_path: Path
) -> None:
    wanted = configs(*range(1, 13))
    path = tmp_path / "journal.jsonl"

    def interrupted() -> None:
        with (
            Journal(path, {}) as journal,
            closing(measure(wanted, target(), journal=journal, **options)) as results,
        ):
            for number, _ in enumerate(results, 1):
                if number == 5:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with Journal(path, {}) as journal:
        stored = set(journal)
        assert len(stored) >= 5
        results = list(measure(wanted, target(), journal=journal, **options))
    assert {result.id for result in results} == {config.id for config in wanted}
    runs = Counter(int(batch) for batch in counts.read_text().split())
    with Measurement(target()) as measurement:
        for config in wanted:
            if measurement.key(config) in stored:
                assert runs[config.batch] == 1
            # One that was killed on its way has run before, but has no result.
            assert 1 <= runs[config.batch] <= 2
    with Journal(path, {}) as journal:
        again = list(measure(wanted, target(), journal=journal, **options))
    key = {result.id: result for result in results}
    assert {result.id: result for result in again} == key
    assert sum(runs.values()) == len(counts.read_text().split())


def test_results_nobody_waited_for_are_in_the_journal(options: dict[str, Any], tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "journal.jsonl", {}) as journal,
        Measurement(target(), journal=journal, workers=1, **options) as measurement,
    ):
        pending = [measurement.submit(config) for config in configs(1, 2, 3)]
        assert pending[-1].result().outcome == "completed"
        assert len(journal) == 3
        assert all(each.found is not None for each in pending)


def test_only_answers_are_kept(options: dict[str, Any], tmp_path: Path) -> None:
    wanted = [StepConfig(seed=seed) for seed in (1, 2, 3, 4)] + configs(1, 101)
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        assert len(list(measure(wanted, target(), journal=journal, **options))) == 6
        assert sorted(key.partition("@")[0] for key in journal) == sorted(each.id for each in wanted[4:])


def test_another_device_is_another_result(options: dict[str, Any], counts: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        for gpu in ("rtx4070", "t4", "t4"):
            (result,) = measure(configs(1), target(gpu), journal=journal, **options)
            assert result.device.gpu == gpu
    assert counts.read_text().split() == ["1", "1"]


def test_without_anything_to_run_no_process_starts(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        list(measure(configs(1), target(), journal=journal, **options))
        monkeypatch.setattr("nanocheck.process.pool.Link", None)
        assert len(list(measure(configs(1), target(), journal=journal, **options))) == 1


def test_progress_counts_what_the_journal_gave(options: dict[str, Any], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        list(measure(configs(1), target(), journal=journal, **options))
        list(
            measure(
                configs(1, 2),
                target(),
                journal=journal,
                progress=lambda done, total, running: seen.append((done, total)),
                **options,
            )
        )
    assert seen[0] == (1, 2)
    assert seen[-1] == (2, 2)


def test_a_real_gpu_is_not_shared(options: dict[str, Any]) -> None:
    most = 0

    def observe(done: int, total: int, running: Any) -> None:
        nonlocal most
        most = max(most, len(running))

    list(measure(configs(1, 2, 3), target(kind="real"), workers=4, progress=observe, **options))
    assert most == 1
    failed = next(iter(measure([StepConfig(seed=1)], target(kind="real"), **options)))
    assert failed.provenance == "virtual", "what the process said of itself, not what was asked for"
    silent = next(iter(measure([StepConfig(seed=2)], target(kind="real"), **options)))
    assert silent.provenance == "unknown", "nothing ran"


def test_the_environment_of_this_process_is_untouched(options: dict[str, Any]) -> None:
    before = dict(os.environ)
    list(measure(configs(1, allocator="expandable"), target(), **options))
    assert dict(os.environ) == before


def test_one_measurement_serves_several_cards(options: dict[str, Any], counts: Path) -> None:
    (config,) = configs(1)
    cards = [target(each) for each in ("rtx4070", "rtx4090", "rtx4070")]
    with Measurement(cards[0], **options) as measurement:
        pending = [measurement.submit(config, target=each) for each in cards]
        results = [each.result() for each in pending]
    assert [each.device for each in results] == [each.device for each in cards]
    assert pending[0] is pending[2]
    assert len(counts.read_text().splitlines()) == 2


def test_one_measurement_is_of_one_kind_of_card(options: dict[str, Any]) -> None:
    with Measurement(target(), **options) as measurement, pytest.raises(ValueError, match="virtual"):
        measurement.submit(*configs(1), target=target(kind="virtual"))
