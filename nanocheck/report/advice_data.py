"""An advice as plain data: what ``--json`` writes, and all that the terminal and the page read.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from typing import Any

import nanocheck
from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.report import script_settings
from nanocheck.search import step_cost, training_variants
from nanocheck.search.advice import Advice, Answer, Question, Row, Trial, smallest

SCHEMA = 1


def advice(found: Advice) -> dict[str, Any]:
    """Sizes in bytes, times in seconds; ``predicted`` is *computed*, each ``run`` names its provenance."""
    question = found.question
    nearest = smallest(found)
    return {
        "schema": SCHEMA,
        "kind": "advice",
        **where(question.device, question.margin_bytes),
        "model": model(question.base),
        "tokens_per_step": question.tokens_per_step,
        "complete": found.complete,
        "tight": found.tight,
        "answers": [_answer(each, question) for each in found.answers],
        "searched": [_row(row) for row in found.rows],
        "runs": len(found.trials),
        "environment": dict(found.trials[0].record.environment) if found.trials else {},
        "nearest": None if nearest is None else run(nearest),
    }


def where(device: Device, margin_bytes: int) -> dict[str, Any]:
    """What every answer is about."""
    return {"nanocheck": nanocheck.__version__, "device": device.to_dict(), "margin_bytes": margin_bytes}


def model(config: StepConfig) -> dict[str, Any]:
    """The sizes of a model."""
    names = ("model", "n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias", "window")
    return {**{name: getattr(config, name) for name in names}, "parameters": config.parameters}


def run(trial: Trial) -> dict[str, Any]:
    """One run and its verdict."""
    record, verdict = trial.record, trial.verdict
    return {
        "id": record.id,
        "name": training_variants.name(record.config),
        "config": record.config.to_dict(),
        "batch": record.config.batch,
        "accumulation": record.config.accumulation,
        "cycle": record.config.cycle,
        "provenance": record.provenance,
        "verdict": verdict.kind,
        "sentence": verdict.sentence,
        "allocated_bytes": record.peak_allocated_bytes,
        "reserved_bytes": record.peak_reserved_bytes,
        "process_bytes": verdict.process_bytes,
        "headroom_bytes": verdict.headroom_bytes,
        "phase": record.peak_phase,
    }


def predicted(each: step_cost.Cost) -> dict[str, Any]:
    """What ``cost`` counts."""
    return {
        "provenance": "computed",
        "operations": each.operations,
        "traffic_bytes": each.traffic_bytes,
        "seconds": each.seconds,
        "tokens_per_second": each.tokens / each.seconds,
    }


def _answer(each: Answer, question: Question) -> dict[str, Any]:
    return {
        "name": training_variants.name(each.config),
        "batch": each.split.batch,
        "accumulation": each.split.accumulation,
        "tokens": each.split.tokens,
        "deviation": each.split.deviation,
        "predicted": predicted(each.cost),
        "run": run(each.trial),
        "beyond": None if each.beyond is None else run(each.beyond),
        "note": each.note,
        "notes": list(methods.notes(each.config)),
        "paste": script_settings.lines(each.config),
        "script_must_change": not training_variants.expressible(each.config),
    }


def _row(row: Row) -> dict[str, Any]:
    answer = row.answer
    return {
        "name": training_variants.name(row.variant),
        "runs": row.runs,
        "batch": None if answer is None else answer.split.batch,
        "accumulation": None if answer is None else answer.split.accumulation,
        "seconds": None if answer is None else answer.cost.seconds,
        "note": row.note,
    }
