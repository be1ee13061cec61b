"""Run what the tables of docs/settings.md show, some 780 runs, and write docs/settings-tables.json.

    python benchmarks/settings_tables.py          # half an hour on two cores; then
    python docs/tables.py                         # sets the tables into the pages

A search that was cut off goes on where it was: finished runs are kept in a journal beside the output.
All figures are virtual; ``tests/docs/test_settings_tables.py`` repeats some cells.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.fingerprint import fingerprint
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES
from nanocheck.measuring.configurations import PRELOAD, PRELOAD_COMPILED, Measurement
from nanocheck.process.jobs import Deadlines
from nanocheck.process.journal import Journal
from nanocheck.report.progress import Progress
from nanocheck.search import frontier, training_variants

OUT = Path(__file__).parents[1] / "docs" / "settings-tables.json"

#: Each has the methods of those before it.
_STEPS = ("eager+expandable", "checkpoint-block+chunked-loss", "weights-bf16", "8bit", "update-in-backward")
METHODS = tuple("+".join(_STEPS[: count + 1]) for count in range(len(_STEPS)))
CARDS = ("rtx4070", "rtx4070-laptop", "rtx4090")
DEPTHS = (12, 16, 20, 24, 26, 32)
LENGTHS = (512, 1024, 2048, 4096, 8192)

#: Of GPT-2 124M at batch 8 in bf16.
WORTH = (
    "eager",
    "checkpoint-block",
    "checkpoint-selective",
    "chunked-loss",
    "update-in-backward",
    "weights-bf16",
    "8bit",
    "checkpoint-block+chunked-loss",
    "checkpoint-block+chunked-loss+weights-bf16+8bit+update-in-backward",
)
_ALSO_COMPILED = WORTH[:7]


@dataclass(frozen=True)
class Search:
    """A chart for one card: a row for each model, a column for each method."""

    card: str
    models: tuple[StepConfig, ...]
    methods: tuple[str, ...]

    def chart(self) -> frontier.Chart:
        return frontier.Chart(target=target(self.card), models=self.models, methods=self.methods)


def target(card: str) -> Target:
    """The card as it is without a desktop, on Linux."""
    return CardQuestion(gpu=card, device="virtual").select().target


def nanochat(depth: int, length: int = 2048, model: str = "nanochat-2026") -> StepConfig:
    """Batch 1, nothing accumulated; the mid-2026 model with the widest window everywhere."""
    window = {"window": "L"} if model == "nanochat-2026" else {}
    return StepConfig.from_dict(
        {
            "model": model,
            "n_layer": depth,
            "block_size": length,
            "batch": 1,
            "accumulation": 1,
            "dtype": "bf16",
            **window,
        }
    )


def searches() -> Iterator[Search]:
    """By card and method, then by length with all methods."""
    for card in CARDS:
        yield Search(card, tuple(map(nanochat, DEPTHS)), METHODS)
    by_length = [nanochat(depth, length) for depth in (24, 26) for length in LENGTHS]
    october = [nanochat(32, length, "nanochat-2025") for length in LENGTHS[1:4]]
    yield Search("rtx4070", (*by_length, *october), METHODS[-1:])


def worth(method: str, compile: str) -> StepConfig:
    """GPT-2 124M, batch 8, bf16, nothing accumulated: an update in the backward goes with nothing else."""
    model = StepConfig.from_dict({"model": "gpt2", "batch": 8, "accumulation": 1, "dtype": "bf16"})
    return replace(model, **training_variants.method(method) | {"compile": compile})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="default: %(default)s")
    arguments = parser.parse_args()
    cells, runs = [], 0
    with Journal(arguments.out.with_suffix(".jsonl"), fingerprint()) as journal:
        for each in searches():
            with _measuring(each.card, journal) as measurement:
                found = frontier.search(each.chart(), measurement)
            if not found.complete:
                raise SystemExit("interrupted; the same command goes on")
            cells += [_cell(each, cell) for cell in found.cells]
            runs += sum(len(cell.trials) for cell in found.cells)
        with _measuring("rtx4070", journal) as measurement:
            methods = [_worth(method, measurement) for method in WORTH]
    stored = {
        "provenance": "virtual",
        "torch": metadata.version("torch"),
        "margin_bytes": DEFAULT_MARGIN_BYTES,
        "runs": runs,
        "largest": cells,
        "worth": methods,
    }
    arguments.out.write_text(json.dumps(stored, indent=1) + "\n")


def _measuring(card: str, journal: Journal) -> Measurement:
    return Measurement(
        target(card),
        journal=journal,
        progress=Progress(),
        preload=(*PRELOAD, *PRELOAD_COMPILED),
        deadlines=Deadlines(default=1200.0),
    )


def _cell(asked: Search, cell: frontier.Cell) -> dict[str, Any]:
    """``largest`` 0: not even batch 1. ``refused``: the next that was run and does not fit."""
    assert cell.found is not None, cell.refusal
    model = asked.models[cell.row]
    trial = cell.trials.get(cell.found.largest)
    return {
        "card": asked.card,
        "model": model.model,
        "depth": model.n_layer,
        "length": model.block_size,
        "parameters": model.parameters,
        "method": asked.methods[cell.column],
        "largest": cell.found.largest,
        "refused": cell.found.refused,
        "reserved_bytes": None if trial is None else trial.result.main.reserved_bytes,
    }


def _worth(method: str, measurement: Measurement) -> dict[str, Any]:
    kinds: Sequence[str] = ("off", "default") if method in _ALSO_COMPILED else ("off",)
    found = {kind: measurement.submit(worth(method, kind)).result().main for kind in kinds}
    return {
        "method": method,
        **{
            {"off": "eager", "default": "compiled"}[kind]: {
                "allocated_bytes": peak.allocated_bytes,
                "reserved_bytes": peak.reserved_bytes,
            }
            for kind, peak in found.items()
        },
    }


if __name__ == "__main__":
    main()
