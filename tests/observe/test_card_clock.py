"""A script that times itself prints what the model says of the card, by its clock and by CUDA's events."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.report.run_file import RunFile, load

#: A step that a T4 needs a fifth of a second for, and this host a thousandth.
SCRIPT = """
import sys, time, torch
from torch import nn
layers = [each for _ in range(4) for each in (nn.Linear(2048, 2048), nn.GELU())]
model = nn.Sequential(*layers).cuda()
if "compile" in sys.argv:
    model = torch.compile(model)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
x = torch.randn(8192, 2048, device="cuda")
begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
for step in range(200):
    torch.cuda.synchronize()
    before = time.time()
    begin.record()
    model(x).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    end.record()
    torch.cuda.synchronize()
    print("step", step, time.time() - before, begin.elapsed_time(end) / 1e3, flush=True)
"""


def run(
    folder: Path, *options: str, words: tuple[str, ...] = ()
) -> tuple[RunFile, list[tuple[float, float]]]:
    """The answer, and seconds of each step as the script prints them: by the clock, by events."""
    (folder / "train.py").write_text(SCRIPT)
    verb = [sys.executable, "-m", "nanocheck", "run", "--gpu", "t4", "--json", "a.json", *options, "--"]
    done = subprocess.run(
        [*verb, sys.executable, "train.py", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    rows = re.findall(r"^step \d+ (\S+) (\S+)$", done.stdout, re.MULTILINE)
    return load(folder / "a.json"), [(float(clock), float(events)) for clock, events in rows]


@pytest.mark.parametrize("words", [(), ("compile",)], ids=["eager", "compiled"])
def test_its_own_figures_are_the_models(words: tuple[str, ...], tmp_path: Path) -> None:
    answer, steps = run(tmp_path, "--clock", "4", words=words)
    assert answer.step_time is not None
    modelled = answer.step_time.card_seconds
    assert modelled > 0.1
    for figures in zip(*steps[-3:], strict=True):  # by the clock, by events
        # A step in which the machine did something else is longer; none is shorter.
        assert min(figures) == pytest.approx(modelled, rel=0.05)
    # Before it begins, an interval says nothing, as ever.
    assert steps[1][1] == pytest.approx(1e-3)


def test_memory_is_what_it_is_without(tmp_path: Path) -> None:
    plain, _ = run(tmp_path)
    clocked, _ = run(tmp_path, "--clock", "2")
    for name in ("allocated_bytes", "reserved_bytes", "process_bytes", "groups"):
        assert getattr(plain.result.main, name) == getattr(clocked.result.main, name), name
    assert clocked.verdict.kind == plain.verdict.kind
