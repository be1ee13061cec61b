"""A script that times itself prints what the model says of the card, by its clock and by CUDA's events."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from client_runs import needs_libraries_of
from paths import CLIENTS

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
    if step == 1:
        torch.cuda.synchronize()
        first = time.time()
    torch.cuda.synchronize()
    before = time.time()
    begin.record()
    for _ in range(8 if "accumulate" in sys.argv else 1):
        model(x).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    end.record()
    torch.cuda.synchronize()
    print("step", step, time.time() - before, begin.elapsed_time(end) / 1e3, flush=True)
    if step:
        print("average", (time.time() - first) / step, flush=True)
"""
#: The answer, and seconds of each step as the script prints them: by the clock, by events; and averages since
#: the first.
Ran = tuple[RunFile, list[tuple[float, float]], list[float]]


def run(folder: Path, *options: str, words: tuple[str, ...] = ()) -> Ran:
    """Under the verb."""
    (folder / "train.py").write_text(SCRIPT)
    verb = [sys.executable, "-m", "nanocheck", "run", "--gpu", "t4", "--json", "a.json", *options, "--"]
    done = subprocess.run(
        [*verb, sys.executable, "train.py", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    rows = re.findall(r"^step \d+ (\S+) (\S+)$", done.stdout, re.MULTILINE)
    averages = re.findall(r"^average (\S+)$", done.stdout, re.MULTILINE)
    steps = [(float(clock), float(events)) for clock, events in rows]
    return load(folder / "a.json"), steps, list(map(float, averages))


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("eager"), "--clock", "4")


@pytest.mark.parametrize(
    "words", [(), ("compile",), ("accumulate",)], ids=["eager", "compiled", "8 micro-batches"]
)
def test_its_own_figures_are_the_models(
    words: tuple[str, ...], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    answer, steps, averages = (
        run(tmp_path, "--clock", "4", words=words) if words else request.getfixturevalue("eager")
    )
    assert answer.step_time is not None
    modelled = answer.step_time.card_seconds
    assert modelled > 0.1
    for figures in zip(*steps[-3:], strict=True):  # by the clock, by events
        # A step in which the machine did something else is longer; none is shorter.
        assert min(figures) == pytest.approx(modelled, rel=0.05)
    # Also on average, over the steps before it began.
    assert averages[-1] == pytest.approx(modelled, rel=0.05)
    assert averages[2] < modelled / 2
    # Before it begins, an interval says nothing, as ever.
    assert steps[1][1] == pytest.approx(1e-3)


def test_memory_is_what_it_is_without(eager: Ran, tmp_path: Path) -> None:
    plain, _, _ = run(tmp_path)
    clocked, _, _ = eager
    for name in ("allocated_bytes", "reserved_bytes", "process_bytes", "groups"):
        assert getattr(plain.result.main, name) == getattr(clocked.result.main, name), name
    assert clocked.verdict.kind == plain.verdict.kind


@pytest.mark.slow
def test_a_trainer_counts_its_own_tokens_by_it(tmp_path: Path) -> None:
    """Hugging Face's prints seconds and tokens a second since it began; between two lines lies a step."""
    needs_libraries_of("hf_trainer.py")
    script = (CLIENTS / "hf_trainer.py").read_text().replace("steps=3", "steps=60")
    # One epoch, and a card that has far more to do than the host.
    script = script.replace("return 32", "return 4096").replace("n_embd=256", "n_embd=2048")
    script = script.replace("batch_size=4", "batch_size=16")
    script = script.replace("report_to", 'include_num_input_tokens_seen="all", report_to')
    (tmp_path / "train.py").write_text(script)
    verb = [sys.executable, "-m", "nanocheck", "run", "--gpu", "t4", "--json", "a.json", "--clock", "8", "--"]
    done = subprocess.run(
        [*verb, sys.executable, "train.py", "out"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answer = load(tmp_path / "a.json")
    assert answer.step_time is not None
    lines = re.findall(r"'num_input_tokens_seen': (\d+), 'train_runtime': '([\d.]+)'", done.stdout)
    seen = [(int(tokens), float(seconds)) for tokens, seconds in lines]
    (before, began), (after, ended) = seen[-7], seen[-1]
    assert after - before == 6 * 16 * 2 * 128
    assert answer.result.main.kernels is not None
    assert answer.result.main.kernels.tokens == 16 * 2 * 128
    # The host's own time at each wait comes on top.
    assert 0.98 < (ended - began) / 6 / answer.step_time.seconds < 1.3
