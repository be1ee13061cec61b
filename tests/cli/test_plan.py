"""``nanocheck plan``: a script and a reference model, recorded on the virtual card."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nanocheck.cli import main

SMALL = ["--n-layer", "2", "--n-head", "2", "--n-embd", "128", "--block-size", "128", "--vocab-size", "512"]

SCRIPT = """
import torch
from torch.nn.functional import cross_entropy
model = torch.nn.Sequential(torch.nn.Embedding(1000, 128), torch.nn.Linear(128, 1000)).cuda()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(100):
    tokens = torch.randint(0, 1000, (8, 125), device="cuda")
    cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()
"""


def plan(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "plan.json"
    code = main(["plan", "--json", str(out), *arguments])
    return code, json.loads(out.read_text()) if out.is_file() else {}


def test_a_model_on_two_cards_under_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = plan(
        tmp_path,
        *("--gpu", "rtx4070,h100", "--tokens", "1M", "--model", "gpt2", *SMALL, "--batch", "4"),
        *("--accumulation", "2", "--methods", "eager", "--watts", "100,200", "--price", "0.5"),
    )
    assert code == 0
    rows = found["rows"]
    assert [(row["gpu"], row["limit_w"]) for row in rows] == [
        ("rtx4070", 100), ("rtx4070", 200), ("h100", 100), ("h100", 200)
    ]  # fmt: skip
    for row in rows:
        assert row["verdict"]["kind"] == "safe"
        assert row["verdict_provenance"] == "virtual"
        assert row["tokens_per_step"] == 4 * 2 * 128
        assert row["step_time"]["provenance"] == row["horizon"]["provenance"] == "modelled"
        assert row["horizon"]["steps"] == 977  # 10^6 / 1024, the last one whole
        assert row["horizon"]["electricity"]["estimate"] == pytest.approx(
            row["horizon"]["kwh"]["estimate"] / 2
        )
        assert row["horizon"]["rent"] is None
    shown = capsys.readouterr().out
    assert "rtx4070, 100 W" in shown
    assert "1,000,000 tokens" in shown


def test_a_script_whose_tokens_are_told(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    script = [sys.executable, str(tmp_path / "train.py")]
    code, found = plan(tmp_path, "--tokens", "1e6", "--tokens-per-step", "1000", "--", *script)
    (row,) = found["rows"]
    assert code == 0
    assert found["command"] == script
    assert row["horizon"]["steps"] == 1000
    assert row["horizon"]["seconds"]["estimate"] == pytest.approx(1000 * row["step_time"]["seconds"])


def test_what_does_not_fit_has_no_horizon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = plan(
        tmp_path,
        *("--gpu", "rtx4070", "--tokens", "1e9", "--model", "gpt2", "--batch", "64", "--methods", "eager"),
    )
    (row,) = found["rows"]
    assert code == 1
    assert row["verdict"]["kind"] == "oom"
    assert row["horizon"] is row["step_time"] is None
    assert row["why_not"] in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "wrong",
    [
        ["--model", "gpt2", "--batch", "1"],  # no goal
        ["--tokens", "1e9", "--total-steps", "5", "--model", "gpt2", "--batch", "1"],
        ["--tokens", "many", "--model", "gpt2", "--batch", "1"],
        ["--tokens", "1e9", "--model", "gpt2"],  # neither batch nor tokens a step
        ["--tokens", "1e9", "--model", "gpt2", "--batch", "1", "--tokens-per-step", "1024"],
        ["--tokens", "1e9", "--model", "gpt2", "--tokens-per-step", "1024", "--methods", "eager"],
        ["--tokens", "1e9", "--batch", "1", "--", sys.executable, "-c", "pass"],
        ["--tokens", "1e9", "--gpu", "rtx4070,nosuch", "--model", "gpt2", "--batch", "1"],
        ["--tokens", "1e9", "--watts", "100,x", "--model", "gpt2", "--batch", "1"],
        ["--tokens", "1e9", "--system", "0.5", "--model", "gpt2", "--batch", "1"],
        ["--tokens", "1e9", "--price", "-1", "--model", "gpt2", "--batch", "1"],
        ["--tokens", "1e9", "--", "no-such-program-anywhere"],
    ],
)
def test_bad_input_is_told_before_anything_runs(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = plan(tmp_path, *wrong)
    assert (code, found) == (2, {})
    assert "expected" in capsys.readouterr().err
