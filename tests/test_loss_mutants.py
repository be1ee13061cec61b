"""A broken training step must fail the loss suite: each mutant is judged by the suite's own checks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import nanocheck.step
from nanocheck.config import StepConfig
from nanocheck.step.curves import SAME, Curve, decrease_problem, difference, start_problem
from nanocheck.step.run import run_step
from nanocheck.step.text import python_help
from nanocheck.step.textbook import textbook_curve

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

#: Bytes of the help text stand for tokens, so that a run takes a tenth of a second.
TOKENS = list(python_help().text.encode())
CONFIG = StepConfig(
    n_layer=2, n_head=2, n_embd=64, block_size=32, vocab_size=256, batch=2, accumulation=2, dtype="fp32"
)
STEPS = 16

_NEXT_BATCH = "self.x, self.y = self.batches.next()"
#: module, what is there, what the mutant has instead, and configuration changes it needs to show.
MUTANTS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "lost accumulation": ("training", "self.loss / self.config.accumulation", "self.loss / 1", {}),
    "divided twice": (
        "training",
        "self.loss / self.config.accumulation",
        "self.loss / self.config.accumulation**2",
        {},
    ),
    "kept gradients": ("training", "self.optimizer.zero_grad(set_to_none=True)", "pass", {}),
    "lost clipping": ("training", "GRAD_CLIP = 1.0", "GRAD_CLIP = 1e9", {}),
    "clipped before unscaling": (
        "training",
        "self.scaler.unscale_(self.optimizer)",
        "pass",
        {"dtype": "fp16"},
    ),
    "the same batch again": (
        "training",
        "self.x, self.y = self.batches.next()\n        self.s",
        "self.s",
        {},
    ),
    "targets off by one": ("data", "self._window(start + 1, length)", "self._window(start + 2, length)", {}),
    "targets are inputs": ("data", "self._window(start + 1, length)", "self._window(start, length)", {}),
    "no causal mask": ("model", "is_causal=True", "is_causal=False", {}),
    "no positions": ("model", "x = tok_emb + pos_emb", "x = tok_emb", {}),
    "everything decays": ("optimizer", '"weight_decay": 0.0', '"weight_decay": WEIGHT_DECAY', {}),
    "nothing decays": ("optimizer", "WEIGHT_DECAY = 0.1", "WEIGHT_DECAY = 0.0", {}),
    "half the learning rate": ("optimizer", "LEARNING_RATE = 6e-4", "LEARNING_RATE = 3e-4", {}),
    "half the weights' scale": ("model", "INIT_STD = 0.02", "INIT_STD = 0.01", {}),
}


def measure(config: StepConfig, run: Any = run_step) -> Curve:
    outcome = run(
        config,
        "cpu",
        observe=lambda phase, step: None,
        steps=STEPS,
        micro_batches=config.accumulation,
        tokens=TOKENS,
        read_losses=True,
    )
    return Curve(losses=outcome.losses, grad_norms=outcome.grad_norms, environment={})


def textbook(config: StepConfig) -> Curve:
    losses, norms = textbook_curve(config, "cpu", TOKENS, STEPS)
    return Curve(losses=tuple(losses), grad_norms=tuple(norms), environment={})


@contextmanager
def mutated(name: str, there: str, instead: str) -> Iterator[Any]:
    """``run_step`` of a second copy of ``nanocheck.step`` in which one module is changed."""
    folder = Path(nanocheck.step.__file__).parent
    names = ["loss", "model", "precision", "optimizer", "data", "training", "recipe", "cycle", "facts", "run"]
    originals = {f"nanocheck.step.{each}": sys.modules[f"nanocheck.step.{each}"] for each in names}
    with ExitStack() as stack:
        for full, module in originals.items():
            stack.callback(sys.modules.__setitem__, full, module)
        for each in names:
            source = (folder / f"{each}.py").read_text()
            if each == name:
                assert there in source, f"the mutant no longer finds its place in {each}.py"
                source = source.replace(there, instead)
            _load(f"nanocheck.step.{each}", source)
        yield sys.modules["nanocheck.step.run"].run_step


def _load(full: str, source: str) -> None:
    module = ModuleType(full)
    module.__spec__ = importlib.util.spec_from_loader(full, loader=None)
    sys.modules[full] = module
    exec(compile(source, f"<mutant of {full}>", "exec"), module.__dict__)


def test_the_unchanged_step_passes_everything() -> None:
    for dtype in ("fp32", "bf16", "fp16"):
        config = replace(CONFIG, dtype=dtype)
        found = measure(config)
        assert start_problem(found, config) is None
        assert decrease_problem(found) is None
        assert difference(found, textbook(config), SAME[dtype]) is None
    with mutated("model", "INIT_STD = 0.02", "INIT_STD = 0.02") as same:
        assert measure(CONFIG, same) == measure(CONFIG)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_parts_from_the_stored_curve_and_from_the_formulas(name: str) -> None:
    module, there, instead, changes = MUTANTS[name]
    config = replace(CONFIG, **changes)
    stored = measure(config)
    with mutated(module, there, instead) as run:
        found = measure(config, run)
    assert difference(found, stored, SAME[config.dtype]), "equals its stored curve"
    if module != "model" or "INIT_STD" not in there:  # the formulas start from the same weights
        assert difference(found, textbook(config), SAME[config.dtype]), "equals the formulas"


def test_a_lost_division_parts_accumulation_from_one_large_batch() -> None:
    module, there, instead, _ = MUTANTS["lost accumulation"]
    whole = replace(CONFIG, batch=4, accumulation=1)
    assert difference(measure(CONFIG), measure(whole), SAME["fp32"]) is None
    with mutated(module, there, instead) as run:
        assert difference(measure(CONFIG, run), measure(whole, run), SAME["fp32"])
        assert start_problem(measure(CONFIG, run), CONFIG)


def test_a_loss_that_rises_is_seen() -> None:
    with mutated("optimizer", "LEARNING_RATE = 6e-4", "LEARNING_RATE = 1.0") as run:
        assert decrease_problem(measure(CONFIG, run))
