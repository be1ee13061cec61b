"""The nanochat note's table: from what was recorded, by the model of time as it is."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from paths import ROOT

from nanocheck.core.verdict import FITS

PAGE = ROOT / "docs" / "plan.md"


@pytest.fixture(scope="module")
def note() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nanochat_note", ROOT / "benchmarks" / "nanochat_note.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # where msgspec looks for the types that annotations name
    spec.loader.exec_module(made)
    return made


def test_the_page_has_the_table_of_what_was_recorded(note: ModuleType) -> None:
    assert PAGE.read_text() == note.page(PAGE.read_text())


def test_what_was_recorded_is_the_model_and_does_its_work(note: ModuleType) -> None:
    """At least 6 operations a token for each weight of the blocks and the head (Kaplan et al. 2020)."""
    seen = 0
    for name, model in note.models().items():
        if not note.is_recorded(name):
            continue
        seen += 1
        run = note.load(name).run
        config, kernels = run.result.config, run.result.main.kernels
        assert run.verdict.kind in FITS
        assert (config.model, config.n_layer) == (model.model, model.n_layer)
        assert kernels.tokens == config.batch * config.accumulation * config.block_size
        weights = 12 * config.n_layer * config.n_embd**2 + config.vocab_size * config.n_embd
        done = sum(kernel.operations * times for kernel, times in kernels)
        assert 1 <= done / (6 * weights * kernels.tokens) < 2
    assert seen >= 2


def test_days_are_the_goals_tokens_at_the_rate_of_a_step(note: ModuleType) -> None:
    name, model = next((name, model) for name, model in note.models().items() if note.is_recorded(name))
    _, row = note.planned(name, model)
    rate = row.tokens_per_step / row.step_time.seconds
    assert row.horizon.seconds.estimate == pytest.approx(note.tokens_of(model) / rate, rel=1e-3)
