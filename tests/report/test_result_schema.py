"""The JSON Schema of a run is the committed one, and what runs write is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from made_up import oom_result, result
from page_sample import several
from paths import ROOT

from nanocheck.core.config import StepConfig
from nanocheck.core.verdict import JudgedRun
from nanocheck.report.run_file import RunFile, json_schema, load

SCHEMA = ROOT / "docs" / "run-result.schema.json"
SCRIPT = """
import torch
model = torch.nn.Linear(256, 256).cuda()
optimizer = torch.optim.SGD(model.parameters())
kept = [torch.empty({size}, dtype=torch.uint8, device="cuda")]
for _ in range(5):
    model(torch.randn(64, 256, device="cuda")).sum().backward()
    optimizer.step()
"""


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_committed_schema_is_that_of_the_types() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(json_schema())), (
        "types changed: python docs/generate.py"
    )


@pytest.mark.parametrize(
    "run",
    [
        JudgedRun.of(result(StepConfig(batch=4))),
        JudgedRun.of(oom_result()),
        JudgedRun.of(result(outcome="crashed", provenance="unknown", peaks=(), detail="boom")),
        several(),
    ],
)
def test_what_a_type_writes_is_valid(run: JudgedRun, validator: Any) -> None:
    validator.validate(json.loads(msgspec.json.encode(RunFile.with_suggestions(run))))


@pytest.mark.parametrize(
    ("size", "outcome"), [(1, "completed"), (1 << 40, "oom"), ("'x'", "crashed")], ids=lambda each: str(each)
)
def test_what_a_real_run_writes_is_valid_and_comes_back(
    size: int | str, outcome: str, validator: Any, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    command = [sys.executable, "-m", "nanocheck", "run", "--json", str(path), "--suggest", "--margin", "0"]
    subprocess.run(
        [*command, "--", sys.executable, "-c", SCRIPT.format(size=size), "--batch_size=1"],
        cwd=tmp_path,
        capture_output=True,
        timeout=300,
        check=False,
    )
    written = json.loads(path.read_text())
    validator.validate(written)
    assert written["result"]["outcome"] == outcome
    assert json.loads(msgspec.json.encode(load(path))) == written


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "two"},
        {"extra": 1},
        {"margin_bytes": None},
        {"verdict": {"kind": "perhaps", "process_bytes": 0, "headroom_bytes": 0, "sentence": ""}},
    ],
)
def test_what_is_no_run_is_not_valid(change: dict[str, Any], validator: Any) -> None:
    good = json.loads(msgspec.json.encode(RunFile.with_suggestions(JudgedRun.of(result()))))
    assert not validator.is_valid({**good, **change})
