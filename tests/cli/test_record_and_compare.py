"""``nanocheck record`` and ``nanocheck compare``, from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import oom_result, peaks, result
from made_up_recordings import CONFIG, NAMES, recorded, recording, trace, weight, with_loss, with_parameter

from nanocheck.cli import main
from nanocheck.core.config import StepConfig
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import classify
from nanocheck.numerics.recording import dumps, load
from nanocheck.numerics.trace import Step, Trace
from nanocheck.report import report_file
from nanocheck.report.diff import compare
from nanocheck.report.report_file import Report, Row


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def keep(name: str, *runs: Trace, torch: str = "2.14.1+cu130") -> str:
    """A recording of these runs in a file."""
    named = [recorded(found, name=f"run-{index}") for index, found in enumerate(runs)]
    Path(name).write_text(dumps(recording(*named, torch=torch)))
    return name


def report(*records: RunResult) -> Report:
    rows = tuple(Row(result=each, verdict=classify(each)) for each in records)
    return Report(date="2026-01-02", command="pytest suites/", margin_bytes=512 * MIB, rows=rows)


def written(name: str, *records: RunResult) -> str:
    Path(name).write_text(report_file.dumps(report(*records)))
    return name


def test_a_recording_equals_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", keep("a.json", trace(), trace()), "a.json"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("the same environment\n")
    assert said.endswith("2 configurations: 2 equal\n")


def test_a_changed_byte_is_named_with_its_step_and_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    changed = with_parameter(trace(), 1, NAMES[2])
    before, after = keep("a.json", trace(), trace()), keep("b.json", trace(), changed)
    text = Path(after).read_text()
    assert sum(a != b for a, b in zip(text, Path(before).read_text(), strict=True)) == 2
    assert main(["compare", before, after]) == 0
    said = capsys.readouterr().out
    assert "equal     run-0" in said
    assert f"rounding  run-1\n          first difference: step 1, {NAMES[2]}: 10.0 and 10.0, 0 of it" in said


def test_what_moved_gives_one_and_pages(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = keep("a.json", trace()), keep("b.json", with_loss(trace(), 2, 0.5), torch="2.9.1")
    assert main(["compare", before, after, "--md", "page.md", "--json", "all.json"]) == 1
    said = capsys.readouterr().out
    assert "torch: 2.14.1+cu130 -> 2.9.1" in said
    assert "moved     run-0" in said
    assert "step 2, loss: 3.0 and 3.5, 0.5 nats apart" in said
    assert "step 2, loss: 3.0 and 3.5" in Path("page.md").read_text()
    plain = json.loads(Path("all.json").read_text())
    assert plain["rows"][0]["divergence"] == {
        "step": 2,
        "what": "loss",
        "here": 3.5,
        "there": 3.0,
        "magnitude": 0.5,
    }
    assert main(["compare", after, before]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "nanocheck recording"', "not JSON: "),
        ('{"kind": "nanocheck recording", "schema": 7}', "expected a recording of schema 1, found 7"),
        ('{"ledgers": []}', "expected a recording, a memory report or a run, found something else"),
        ("[1, 2]", "expected a recording, a memory report or a run, found something else"),
        (
            '{"kind": "nanocheck recording", "schema": 1, "date": "", "environment": {}}',
            "malformed recording",
        ),
    ],
)
def test_damaged_and_foreign_files_are_four(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.json").write_text(text)
    assert main(["compare", keep("a.json", trace()), "b.json"]) == 4
    assert said in capsys.readouterr().err
    assert main(["compare", "a.json", "missing.json"]) == 4
    assert "expected a readable file, found: No such file" in capsys.readouterr().err


def test_a_recording_and_a_report_do_not_compare(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", keep("a.json", trace()), written("r.json", result())]) == 2
    assert "found a recording in a.json and a memory report in r.json" in capsys.readouterr().err


def test_reports_name_the_peaks_that_moved(capsys: pytest.CaptureFixture[str]) -> None:
    small, large = StepConfig(batch=4), StepConfig(batch=8)
    before = written("a.json", result(small), result(large))
    grown = result(large, peaks=peaks(allocated=8000 * MIB + 512, reserved=11_200 * MIB))
    after = written("b.json", result(small), grown)
    assert main(["compare", before, before]) == 0
    assert capsys.readouterr().out.endswith("2 configurations: 2 equal\n")
    assert main(["compare", before, after, "--md", "page.md", "--json", "all.json"]) == 1
    said = capsys.readouterr().out
    assert f"moved  {large.id}: safe -> tight" in said
    assert "backward reserved: 9,000.00 -> 11,200.00 MiB (+2,306,867,200 bytes)" in said
    assert "and 3 smaller changes" in said
    assert small.id not in said
    assert "| backward" in Path("page.md").read_text()
    changes = json.loads(Path("all.json").read_text())["rows"][1]["changes"]
    assert {
        "phase": "backward",
        "what": "allocated",
        "before": 8000 * MIB,
        "after": 8000 * MIB + 512,
    } in changes


def test_reports_name_what_is_out_of_memory_now() -> None:
    found = compare(report(result()), report(oom_result()))
    assert found.moved
    (row,) = found.rows
    assert row.kinds == ("safe", "oom")
    assert "out of memory: none -> backward of step 0 asking for 1,648,361,472 bytes" in row.notes


@pytest.mark.parametrize(("more", "verdict"), [(0, "equal"), (39 * MIB, "close"), (60 * MIB, "moved")])
def test_measured_peaks_may_differ_by_half_a_percent(more: int, verdict: str) -> None:
    one = result(provenance="measured")
    other = result(provenance="measured", peaks=peaks(allocated=8000 * MIB + more))
    assert [row.verdict for row in compare(report(one), report(other)).rows] == [verdict]
    virtual = compare(report(result()), report(result(peaks=other.main.peaks))).rows[0].verdict
    assert virtual == ("moved" if more else "equal")


def test_recording_over_a_recording_needs_force(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(keep("a.json", trace())).read_bytes()
    assert main(["record", "a.json"]) == 2
    assert "hint: name another file, or pass --force" in capsys.readouterr().err
    assert Path("a.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--steps", "0"], "--steps: expected at least 1, found 0"),
        (["--set", "batch=many"], "--set batch=many: expected int, found 'many'"),
        (["--set", "bias=yes"], "--set bias=yes: expected bool, found 'yes'"),
        (["--set", "width=8"], "unknown field 'width'"),
        (["--set", "batch=4", "--compile"], "expected one of --matrix, --set and --compile"),
        (["--matrix", "none.toml"], "expected a matrix at none.toml"),
    ],
)
def test_wrong_requests_train_nothing(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "a.json", *options]) == 2
    assert said in capsys.readouterr().err
    assert not Path("a.json").exists()


class Unequal:
    """Stands for ``Runs``: fp16 fails here, bf16 is not finite."""

    def __init__(self, device: str, workers: int, *, compiled: bool) -> None:
        assert (device, workers, compiled) == ("cpu", 2, False)

    def __enter__(self) -> Unequal:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, plans: object) -> None:
        pass

    def trace(self, plan: object) -> Trace:
        from nanocheck.core.errors import NanocheckError
        from nanocheck.numerics.plan import Plan

        assert isinstance(plan, Plan)
        if plan.config.dtype == "fp16":
            raise NanocheckError(f"{plan.config.id} error: no half on this CPU\na long output")
        found = trace(config=plan.config.to_dict())
        bad = replace(found.steps[1], loss=float("nan"))
        return replace(found, steps=(found.steps[0], bad)) if plan.config.dtype == "bf16" else found


def test_what_cannot_run_is_told_and_the_rest_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nanocheck.numerics.training.runs.Runs", Unequal)
    matrix = '[[group]]\nname = "mine"\nbatch = 1\ndtype = ["fp32", "fp16"]\n'
    Path("mine.toml").write_text(matrix)
    options = ["--matrix", "mine.toml", "--device", "cpu", "--workers", "2"]
    assert main(["record", "a.json", *options]) == 0
    said = capsys.readouterr().out
    assert "not recorded: gpt2-768-b1-a1-fp16-eager: no half on this CPU\n" in said
    assert "a.json: 1 of 2 configurations recorded" in said
    assert [run.failed for run in load(Path("a.json")).runs] == ["", "no half on this CPU"]
    Path("mine.toml").write_text(matrix.replace("fp16", "bf16"))
    assert main(["record", "b.json", *options]) == 1
    assert "gpt2-768-b1-a1-bf16-eager: loss of step 1 is nan; nothing was written" in capsys.readouterr().err
    assert not Path("b.json").exists()


def test_a_real_recording_equals_the_next_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Trained in processes of their own; their distance to fp64 is fp32's rounding error."""
    settings = [f"{name}={value}" for name, value in CONFIG.to_dict().items() if isinstance(value, int)]
    own = [word for each in [*settings, "dtype=fp32"] if "bias" not in each for word in ("--set", each)]
    assert main(["record", "a.json", "--steps", "2", "--device", "cpu", *own]) == 0
    assert "measured, real arithmetic on cpu" in capsys.readouterr().out
    (run,) = load(Path("a.json")).runs
    assert run.trace is not None
    assert sorted(run.trace.parameters) == [-1, 0, 1]
    assert run.reference == "fp64"
    assert run.error is not None
    assert 0 < run.error.loss < 1e-5
    assert 0 < run.error.parameters < 1e-5
    assert run.trace.steps[0] != Step(loss=0.0, grad_norm=0.0)
    assert main(["compare", "a.json", "a.json"]) == 0


def test_the_same_comparison_is_the_same_to_the_last_byte() -> None:
    """In every process, whatever order its sets have: sums are taken in one order."""
    layers = range(40)
    here = {f"layer{index}": weight(0.1 * (index + 1)) for index in layers}
    there = {f"layer{index}": weight(0.1 * (index + 1), sha256="01", moved=0.07 * index) for index in layers}
    for name, parameters in (("a.json", here), ("b.json", there)):
        keep(name, replace(trace(), parameters={2: parameters}))
    command = [sys.executable, "-m", "nanocheck", "compare", "a.json", "b.json", "--json", "c.json"]
    found = set()
    for seed in range(5):
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True)
        assert done.returncode == 1, done.stderr
        found.add(Path("c.json").read_bytes())
    assert len(found) == 1
