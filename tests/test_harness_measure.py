"""Configurations become records, whatever happens, and none is computed twice."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nanocheck.core.config import StepConfig
from nanocheck.core.result import Record
from nanocheck.measure.configurations import Measurement, measure
from nanocheck.process.jobs import Deadlines
from nanocheck.process.journal import Journal


class Device:
    """A stand-in; the CPU, so that no virtual GPU is built."""

    kind = "cpu"

    def __init__(self, gpu: str = "rtx4070") -> None:
        self._gpu = gpu

    def to_dict(self) -> dict[str, Any]:
        return {"gpu": self._gpu, "capability": [8, 9]}


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts"
    path.touch()
    return path


@pytest.fixture
def options(counts: Path) -> dict[str, Any]:
    return {
        "task": "harness_tasks:record",
        "preload": [],
        "launch_environment": {"PYTHONPATH": str(Path(__file__).parent), "COUNT_FILE": str(counts)},
        "deadlines": Deadlines(stages={"hanging": 0.3}),
    }


def configs(*batches: int, **fields: Any) -> list[StepConfig]:
    return [StepConfig(batch=batch, **fields) for batch in batches]


def only(config: StepConfig, options: dict[str, Any]) -> Record:
    (record,) = measure([config], Device(), **options)
    assert record.config == config
    # Whatever it is, it can be stored.
    assert Record.from_dict(record.to_dict()) == record
    return record


def test_records_for_all_configurations(options: dict[str, Any]) -> None:
    wanted = configs(1, 2, 101)
    records = {record.id: record for record in measure(wanted, Device(), **options)}
    assert [records[config.id].outcome for config in wanted] == ["completed", "completed", "oom"]
    assert {"start", "import", "run", "step"} <= set(records[wanted[0].id].seconds)


def test_a_configuration_asked_for_twice_runs_once(options: dict[str, Any], counts: Path) -> None:
    assert len(list(measure(configs(1, 1, 2, 1), Device(), **options))) == 2
    assert sorted(counts.read_text().split()) == ["1", "2"]


def test_a_crash_keeps_the_peaks_reached_and_says_why(options: dict[str, Any]) -> None:
    record = only(StepConfig(seed=1), options)
    assert record.outcome == "crashed"
    assert [(peak.phase, peak.allocated_bytes) for peak in record.peaks] == [("build", 1), ("forward", 7)]
    assert "SIGABRT" in record.detail
    assert "last words" in record.detail
    assert record.environment["torch"]
    assert record.device == Device().to_dict()


def test_what_this_machine_cannot_do_is_unsupported(options: dict[str, Any]) -> None:
    record = only(StepConfig(seed=2), options)
    assert record.outcome == "unsupported"
    assert "no such GPU here" in record.detail
    assert "hint: buy one" in record.detail
    assert "in record" in record.detail


def test_a_hang_is_a_timeout(options: dict[str, Any]) -> None:
    record = only(StepConfig(seed=3), options)
    assert record.outcome == "timeout"
    assert "'hanging'" in record.detail
    assert "in hang_here" in record.detail


def test_a_worker_that_returns_no_record(options: dict[str, Any]) -> None:
    record = only(StepConfig(seed=4), options)
    assert (record.outcome, "no record" in record.detail) == ("crashed", True)


def test_malformed_partial_peaks_are_told(options: dict[str, Any]) -> None:
    record = only(StepConfig(seed=5), options)
    assert (record.outcome, record.peaks) == ("crashed", ())
    assert "malformed partial peak" in record.detail
    assert "ValueError: odd" in record.detail


def test_the_allocator_is_chosen_by_the_configuration_alone(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "from:user")
    assert only(StepConfig(), options).allocator_conf == ","
    expandable = only(StepConfig(allocator="expandable"), options)
    assert expandable.allocator_conf == "expandable_segments:True,expandable_segments:True"


def test_hashes_do_not_differ_between_runs(options: dict[str, Any]) -> None:
    assert only(StepConfig(), options).environment == {"hash_seed": "0"}


def test_an_interrupted_run_computes_nothing_twice(
    options: dict[str, Any], counts: Path, tmp_path: Path
) -> None:
    wanted = configs(*range(1, 13))
    path = tmp_path / "journal.jsonl"

    def interrupted() -> None:
        with (
            Journal(path, {}) as journal,
            closing(measure(wanted, Device(), journal=journal, **options)) as records,
        ):
            for number, _ in enumerate(records, 1):
                if number == 5:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with Journal(path, {}) as journal:
        stored = set(journal)
        assert len(stored) >= 5
        records = list(measure(wanted, Device(), journal=journal, **options))
    assert {record.id for record in records} == {config.id for config in wanted}
    runs = Counter(int(batch) for batch in counts.read_text().split())
    with Measurement(Device()) as measurement:
        for config in wanted:
            if measurement.key(config) in stored:
                assert runs[config.batch] == 1
            # One that was killed on its way has run before, but has no result.
            assert 1 <= runs[config.batch] <= 2
    with Journal(path, {}) as journal:
        again = list(measure(wanted, Device(), journal=journal, **options))
    key = {record.id: record.to_dict() for record in records}
    assert {record.id: record.to_dict() for record in again} == key
    assert sum(runs.values()) == len(counts.read_text().split())


def test_results_nobody_waited_for_are_in_the_journal(options: dict[str, Any], tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "journal.jsonl", {}) as journal,
        Measurement(Device(), journal=journal, workers=1, **options) as measurement,
    ):
        pending = [measurement.submit(config) for config in configs(1, 2, 3)]
        assert pending[-1].result().outcome == "completed"
        assert len(journal) == 3
        assert all(each.record is not None for each in pending)


def test_only_answers_are_kept(options: dict[str, Any], tmp_path: Path) -> None:
    wanted = [StepConfig(seed=seed) for seed in (1, 2, 3, 4)] + configs(1, 101)
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        assert len(list(measure(wanted, Device(), journal=journal, **options))) == 6
        assert sorted(key.partition("@")[0] for key in journal) == sorted(each.id for each in wanted[4:])


def test_another_device_is_another_result(options: dict[str, Any], counts: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        for gpu in ("rtx4070", "t4", "t4"):
            (record,) = measure(configs(1), Device(gpu), journal=journal, **options)
            assert record.device["gpu"] == gpu
    assert counts.read_text().split() == ["1", "1"]


def test_without_anything_to_run_no_process_starts(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        list(measure(configs(1), Device(), journal=journal, **options))
        monkeypatch.setattr("nanocheck.process.pool.Link", None)
        assert len(list(measure(configs(1), Device(), journal=journal, **options))) == 1


def test_progress_counts_what_the_journal_gave(options: dict[str, Any], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        list(measure(configs(1), Device(), journal=journal, **options))
        list(
            measure(
                configs(1, 2),
                Device(),
                journal=journal,
                progress=lambda done, total, running: seen.append((done, total)),
                **options,
            )
        )
    assert seen[0] == (1, 2)
    assert seen[-1] == (2, 2)


def test_a_real_gpu_is_not_shared(options: dict[str, Any]) -> None:
    class Real(Device):
        kind = "real"

    most = 0

    def observe(done: int, total: int, running: Any) -> None:
        nonlocal most
        most = max(most, len(running))

    list(measure(configs(1, 2, 3), Real(), workers=4, progress=observe, **options))
    assert most == 1
    failed = next(iter(measure([StepConfig(seed=1)], Real(), **options)))
    assert failed.provenance == "measured"


def test_the_environment_of_this_process_is_untouched(options: dict[str, Any]) -> None:
    before = dict(os.environ)
    list(measure(configs(1, allocator="expandable"), Device(), **options))
    assert dict(os.environ) == before
