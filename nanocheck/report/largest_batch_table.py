"""The answer in ten seconds: the largest batch that is safe, per model and way of training it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from nanocheck.core.config import StepConfig
from nanocheck.core.verdict import ANSWERS, Kind
from nanocheck.report.markdown_cells import frame_of
from nanocheck.report.report_file import Row, model_name

NONE = "-"
CYCLE_WORDS = {
    "train": "training steps",
    "whole": "with evaluation, sampling and checkpoint",
    "full": "with evaluation and checkpoint",
    "resume": "resumed from a checkpoint",
}
COMPILE_WORDS = {"off": "eager", "default": "compiled", "reduce-overhead": "CUDA graphs"}
ALLOCATOR_WORDS = {"default": "default", "expandable": "expandable segments"}


def answer_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per way of training: which batches are safe, tight and out of memory, as text."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((model_name(row.config), *_way(row.config), row.provenance), []).append(row)
    columns = ["model", "precision", "step", "allocator", "accumulation", "run"]
    lines = [
        {
            **dict(zip(columns, key, strict=False)),
            "largest safe batch": _largest_safe(group),
            "tight": _batches(group, {Kind.TIGHT}),
            "out of memory": _batches(group, {Kind.OOM}),
            "no answer": _batches(group, set(Kind) - set(ANSWERS)),
            "provenance": key[-1],
        }
        for key, group in groups.items()
    ]
    frame = frame_of(lines)
    if lines and set(frame["no answer"]) == {NONE}:
        frame = frame.drop(columns="no answer")
    return frame


def best_sentence(rows: Sequence[Row]) -> str:
    """The largest safe batch of all these rows of one model, and which ways of training reach it."""
    safe = [row for row in rows if row.verdict.kind is Kind.SAFE]
    if not safe:
        return "No configuration that ran is safe."
    largest = max(row.config.batch for row in safe)
    ways: list[str] = []
    for row in safe:
        precision, step, allocator, _, run = _way(row.config)
        words = [precision, step]
        words += [allocator] if row.config.allocator != "default" else []
        words += [run] if row.config.cycle != "train" else []
        if row.config.batch == largest and " ".join(words) not in ways:
            ways.append(" ".join(words))
    return f"Largest safe batch: {largest} ({'; '.join(ways)})."


def _way(config: StepConfig) -> tuple[str, str, str, str, str]:
    optimizer = "" if config.optimizer == "adamw-fused" else f", {config.optimizer}"
    shared = f", {config.sharding} of {config.ranks} ranks" if config.ranks > 1 else ""
    return (
        config.dtype,
        COMPILE_WORDS[config.compile] + optimizer + shared,
        ALLOCATOR_WORDS[config.allocator],
        "1" if config.accumulation == 1 else "2 or more",
        CYCLE_WORDS[config.cycle],
    )


def _largest_safe(group: Iterable[Row]) -> str:
    safe: set[int] = set()
    other: set[int] = set()
    for row in group:
        (safe if row.verdict.kind is Kind.SAFE else other).add(row.config.batch)
    safe -= other
    if not safe:
        return "none of those run"
    largest = max(safe)
    holes = sorted(batch for batch in other if batch < largest)
    text = f"{largest}"
    if largest == max(safe | other):
        text += " (the largest run)"
    return text + (f" (but not {', '.join(map(str, holes))})" if holes else "")


def _batches(group: Iterable[Row], kinds: set[Kind]) -> str:
    batches = sorted({row.config.batch for row in group if row.verdict.kind in kinds})
    return ", ".join(map(str, batches)) or NONE
