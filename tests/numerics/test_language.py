"""The language's entropies are right, and what has seen the future, or sees no order, is caught by them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import ROOT
from torch.nn import functional

from nanocheck.core import step_fields
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.numerics.language.approach import LUCK, Approach, plans, why_not, with_seed
from nanocheck.numerics.language.distances import Distances, load_distances, save_distances
from nanocheck.numerics.language.source import SYMBOLS, Source, fresh_windows, language, language_tokens
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import Trace
from nanocheck.numerics.training.job import train
from nanocheck.numerics.training.text import tokens_of
from nanocheck.step import model
from nanocheck.step.data import Batches

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

STORED = ROOT / "baselines" / "language" / "distances.json"
PLAN = plans()[0]


@st.composite
def sources(draw: st.DrawFn, order: int | None = None, symbols: int | None = None) -> Source:
    """Tables without zeros, so that the chain forgets its beginning soon."""
    order = draw(st.integers(0, 2)) if order is None else order
    symbols = draw(st.integers(2, 4)) if symbols is None else symbols
    count = symbols ** (order + 1)
    odds = draw(st.lists(st.floats(0.02, 1.0), min_size=count, max_size=count))
    table = np.array(odds).reshape((symbols,) * (order + 1))
    return Source(table / table.sum(-1, keepdims=True))


def by_hand(source: Source) -> list[float]:
    """All F_n of a source by walking its chain until it has settled, and by going through all words."""
    order, symbols = source.order, range(source.symbols)
    weights = dict.fromkeys(itertools.product(symbols, repeat=order), float(source.symbols) ** -order)
    for _ in range(3000):
        moved = dict.fromkeys(weights, 0.0)
        for word, weight in weights.items():
            for symbol in symbols:
                moved[(*word, symbol)[1:]] += weight * float(source.table[(*word, symbol)])
        if all(abs(moved[word] - weight) < 1e-14 for word, weight in weights.items()):
            break
        weights = moved
    words = {
        (*word, symbol): weight * float(source.table[(*word, symbol)])
        for word, weight in weights.items()
        for symbol in symbols
    }
    entropies = []
    for context in range(order + 1):
        seen: dict[tuple[int, ...], float] = {}
        for word, weight in words.items():
            for part in (word[order - context :], (*word[order - context : -1], -1)):
                seen[part] = seen.get(part, 0.0) + weight
        entropies.append(
            -sum(
                weight * math.log(weight / seen[(*part[:-1], -1)])
                for part, weight in seen.items()
                if part[-1] >= 0
            )
        )
    return entropies


@settings(max_examples=25)
@given(sources())
def test_closed_forms_are_those_of_going_through_all_words(source: Source) -> None:
    assert source.entropies == pytest.approx(by_hand(source), abs=1e-9)


@settings(max_examples=30)
@given(sources())
def test_more_context_never_costs_more(source: Source) -> None:
    falling = [math.log(source.symbols), *source.entropies]
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(falling))
    floors = source.floors(6)
    assert (np.diff(floors) <= 1e-12).all()
    assert source.floor(6) == pytest.approx(floors.mean())
    assert floors[-1] == source.entropies[-1]


@settings(max_examples=12)
@given(sources(), st.integers(0, 1000))
def test_the_source_scores_its_entropy_on_a_sample_of_itself(source: Source, seed: int) -> None:
    """Position by position, for windows that are begun anew; and over one long text."""
    random = np.random.RandomState(seed)
    losses = source.losses(source.windows(4000, 6, random))
    error = losses.std(axis=0) / math.sqrt(len(losses)) + 1e-12
    assert (abs(losses.mean(axis=0) - source.floors(5)) <= 6 * error).all()
    text = np.array(source.text(20_000, random))
    parts = np.stack([text[start::20][:990] for start in range(8)], 1)
    assert abs(source.losses(parts)[:, 5:].mean() - source.entropies[-1]) < 0.1


@settings(max_examples=12)
@given(sources(order=2, symbols=3), sources(symbols=3), st.integers(0, 1000))
def test_no_other_predictor_beats_the_source_by_more_than_luck(
    source: Source, other: Source, seed: int
) -> None:
    windows = source.windows(300, 7, np.random.RandomState(seed))
    assert (other.losses(windows) - source.losses(windows)).sum() >= -LUCK


@pytest.mark.parametrize("symbols", [2, 3, 5])
def test_a_source_without_randomness_has_floor_zero(symbols: int) -> None:
    table = np.zeros((symbols,) * 3)
    for last in range(symbols):
        table[:, last, (last + 1) % symbols] = 1.0
    source = Source(table)
    assert source.entropies == pytest.approx((math.log(symbols), 0.0, 0.0), abs=1e-12)
    assert source.floor(4) == pytest.approx(0.0, abs=1e-12)
    assert source.losses(source.windows(10, 5, np.random.RandomState(0))).max() == pytest.approx(
        0.0, abs=1e-12
    )


def test_tables_that_are_no_source_are_refused() -> None:
    with pytest.raises(RequestError, match="shape"):
        Source(np.ones((2, 3)) / 3)
    with pytest.raises(RequestError, match="sum to 1"):
        Source(np.ones((2, 2)))
    with pytest.raises(RequestError, match="found several"):
        _ = Source(np.eye(2)).stationary


def test_the_language_needs_its_context() -> None:
    unigram, bigram, rate = language().entropies
    assert math.log(SYMBOLS) - unigram > 0.05
    assert unigram - bigram > 0.15
    assert bigram - rate > 0.5


def test_training_text_and_fresh_text_are_fixed_and_different() -> None:
    tokens, sha256 = tokens_of("language", PLAN.config)
    assert (list(tokens), sha256) == (language_tokens(PLAN.config), tokens_of("language", PLAN.config)[1])
    assert set(tokens) == set(range(SYMBOLS))
    windows = fresh_windows(256, 16)
    assert (windows == fresh_windows(256, 16)).all()
    trained = {tuple(tokens[start : start + 17]) for start in range(len(tokens) - 16)}
    assert sum(tuple(window) in trained for window in windows.tolist()) <= 2
    with pytest.raises(RequestError, match=f"at least {SYMBOLS}"):
        language_tokens(StepConfig(n_layer=1, n_head=1, n_embd=8, block_size=8, vocab_size=SYMBOLS - 1))


def trained(plan: Plan) -> Trace:
    tokens, sha256 = tokens_of(plan.text, plan.config)
    payload = {
        "device": "cpu",
        "folder": "",
        "checkpoint": None,
        "tokens": list(tokens),
        "text_sha256": sha256,
    }
    return Trace.from_dict(train({**plan.to_dict(), **payload}, lambda kind, data: None))


def distance_problem(plan: Plan, trace: Trace) -> str | None:
    stored = load_distances(STORED)[plan.config.id]
    return stored.problem(Approach.of(plan, trace), trace.environment["text_sha256"])


def test_a_correct_step_passes() -> None:
    """With a seed that the stored distances were not measured with."""
    plan = with_seed(PLAN, 2024)
    trace = trained(plan)
    found = Approach.of(plan, trace)
    assert found.crossing_problem() is None
    assert found.context_problem() is None
    assert distance_problem(PLAN, trace) is None
    # Model and source find the same text easy: the error is that of their difference.
    source = language().losses(fresh_windows(plan.held_out * 16, 16)).reshape(plan.held_out, -1).mean(1)
    assert found.error < 0.7 * source.std(ddof=1) / math.sqrt(plan.held_out)


def test_a_lost_causal_mask_crosses_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = functional.scaled_dot_product_attention
    monkeypatch.setattr(
        functional,
        "scaled_dot_product_attention",
        lambda q, k, v, **options: plain(q, k, v, **{**options, "is_causal": False}),
    )
    plan = replace(PLAN, steps=60)
    problem = Approach.of(plan, trained(plan)).crossing_problem()
    assert problem is not None
    assert "held-out loss: expected at least the source's" in problem


def test_targets_that_are_inputs_cross_the_floor_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Batches.windows
    monkeypatch.setattr(Batches, "windows", lambda self: (plain(self)[0],) * 2)
    plan = replace(PLAN, steps=30)
    found = Approach.of(plan, trained(plan))
    assert "training loss" in (found.crossing_problem() or "")
    assert found.context_problem() is not None


def test_lost_positions_do_not_approach_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = model._Embedding.forward
    monkeypatch.setattr(
        model._Embedding,
        "forward",
        lambda self, index: plain(self, index) * (self.num_embeddings != PLAN.config.block_size),
    )
    trace = trained(PLAN)
    assert "up to the bigram" in (Approach.of(PLAN, trace).context_problem() or "")
    assert "distance from the floor" in (distance_problem(PLAN, trace) or "")


@pytest.mark.parametrize("name", step_fields.MODELS)
def test_every_model_is_evaluated_on_fresh_text(name: str) -> None:
    config = StepConfig.from_dict(
        {
            "model": name,
            "n_layer": 1,
            "n_head": 1,
            "n_embd": 32,
            "block_size": 8,
            "vocab_size": 16,
            "batch": 2,
        }
        | {"dtype": "bf16"}
    )
    plan = Plan(config=config, text="language", steps=2, held_out=4)
    trace = trained(plan)
    found = trace.evaluation
    source = language().losses(fresh_windows(8, 8)).mean()
    assert found["held_out_source"] == pytest.approx(source)
    assert found["held_out"] == pytest.approx(math.log(16), abs=0.7)  # untrained
    assert found["held_out_error"] > 0
    # And the evaluation has changed nothing.
    assert trained(replace(plan, held_out=0)).final == trace.final


@pytest.mark.parametrize(("text", "batches"), [("bytes", 4), ("language", 1)])
def test_fresh_text_is_of_the_language_and_shows_a_spread(text: str, batches: int) -> None:
    config = replace(PLAN.config, vocab_size=256)
    with pytest.raises(RequestError, match="2 or more batches of the text language"):
        trained(Plan(config=config, text=text, steps=1, held_out=batches))


MEASURED = Distances(steps=5, distances=(0.1, 0.2, 0.3), environment={"text_sha256": "a", "torch": "2.14"})


def approach(distance: float) -> Approach:
    nats = {"tail": 1.0, "tail_error": 0.1, "floor": 1.0, "unigram": 2.0, "bigram": 1.5, "error": 0.1}
    return Approach(name="x", steps=5, held_out=1.0 + distance, source=1.0, tokens=64, **nats)


def test_both_directions_fail() -> None:
    assert MEASURED.problem(approach(0.2), "a") is None
    assert "found 0.7100" in (MEASURED.problem(approach(0.71), "a") or "")
    assert "found -0.3100" in (MEASURED.problem(approach(-0.31), "a") or "")
    assert MEASURED.problem(approach(math.nan), "a") is not None
    assert "another text" in (MEASURED.problem(approach(0.2), "b") or "")
    assert "another number of steps" in (replace(MEASURED, steps=6).problem(approach(0.2), "a") or "")
    for judge in (Approach.crossing_problem, Approach.context_problem):
        assert judge(approach(math.nan)) is not None


def test_distances_are_stored_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    path = tmp_path / "deep" / "distances.json"
    assert load_distances(path) == {}
    save_distances(path, {"b": MEASURED, "a": replace(MEASURED, steps=7)})
    assert load_distances(path) == {"a": replace(MEASURED, steps=7), "b": MEASURED}
    text = path.read_text()
    for there, instead in (
        ('"schema": 1', '"schema": 2'),
        ('"steps"', '"stops"'),
        ("[0.1, 0.2, 0.3]", "[0.1]"),
    ):
        path.write_text(text.replace(there, instead))
        with pytest.raises(StoredDataError):
            load_distances(path)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RequestError, match="CI only reads"):
        save_distances(path, {})


def test_distances_that_are_not_finite_are_not_stored() -> None:
    trace = trained(replace(PLAN, steps=2, held_out=2))
    broken = replace(trace, evaluation={**trace.evaluation, "held_out": math.inf})
    with pytest.raises(StoredDataError, match="not finite"):
        Distances.measured([PLAN, PLAN], [trace, broken])
    assert len(Distances.measured([PLAN, PLAN], [trace, trace]).distances) == 2


def test_an_optimizer_that_cannot_be_asked_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    small = next(plan for plan in plans() if plan.config.optimizer == "adamw-8bit")
    assert why_not(PLAN) is None
    monkeypatch.setattr(metadata, "version", lambda name: "0.49.1")
    assert "is 0.49.1" in (why_not(small) or "")
    monkeypatch.setattr(metadata, "version", lambda name: "1.0rc1")
    assert why_not(small) is None

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert "not installed" in (why_not(small) or "")
