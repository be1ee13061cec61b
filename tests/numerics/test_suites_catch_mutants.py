"""Break the training step on purpose: ``pytest suites/memory`` fails on every mutant, and only on mutants.

The suite runs as a user runs it, from a copy of the project whose step was changed by one line.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mutating import change, copy_project, run_suites

SUITE = ("suites/memory",)
#: Small models: what a mutant does to memory does not depend on the size.
MATRIX = """
[[group]]
name = "small"
why = "every kind of step"
n_layer = 2
n_head = 4
n_embd = 128
block_size = 128
vocab_size = 5000
batch = 4
accumulation = [1, 4]
dtype = ["bf16", "fp32"]
"""
IDS = [f"gpt2-128-l2-h4-t128-v5000-b4-a{a}-{dtype}-eager" for a in (1, 4) for dtype in ("bf16", "fp32")]
#: file, what stands there, what the mutant has instead.
MEMORY_MUTANTS = {
    "gradients are kept": (
        "training.py",
        "self.optimizer.zero_grad(set_to_none=True)",
        "self.optimizer.zero_grad(set_to_none=False)",
    ),
    "an extra fp32 copy of the logits": (
        "loss.py",
        "    loss = functional.cross_entropy(",
        "    copy = logits.to(torch.float32, copy=True)\n    loss = functional.cross_entropy(",
    ),
    "one tensor leaks per step": (
        "training.py",
        "        self.most_run = max(self.most_run, ran)",
        "        self.most_run = max(self.most_run, ran)\n"
        "        self.grad_norms.append(self.x.clone())  # type: ignore[arg-type]",
    ),
}
#: One of them in every run of the tests: each is a run of the suite.
ALWAYS = "one tensor leaks per step"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose baselines say what the unbroken step needs."""
    copy = copy_project(tmp_path_factory.mktemp("project"))
    (copy / "suites" / "memory" / "matrix.toml").write_text(MATRIX)
    shutil.rmtree(copy / "baselines" / "rtx4070")
    updated, _ = run_suites(copy, SUITE, "--update-baselines")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    return copy


def test_the_unbroken_step_passes(project: Path) -> None:
    done, _ = run_suites(project, SUITE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(IDS)} passed" in done.stdout


@pytest.mark.parametrize(
    "mutant",
    [name if name == ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in MEMORY_MUTANTS],
)
def test_the_memory_suite_fails_on(mutant: str, project: Path, tmp_path: Path) -> None:
    file, there, instead = MEMORY_MUTANTS[mutant]
    broken = copy_project(tmp_path, origin=project)
    change(broken / "nanocheck" / "step" / file, there, instead)
    done, failed = run_suites(broken, SUITE)
    assert done.returncode == 1, done.stdout + done.stderr
    # With accumulation, gradients are there in the next forward anyway: kept ones change no peak.
    seen = [test for test in IDS if mutant != "gradients are kept" or "-a1-" in test]
    assert {f"suites/memory/test_memory.py::test_memory[{test}]" for test in seen} <= set(failed)
    assert "hint: " in done.stdout or "no steady state" in done.stdout
