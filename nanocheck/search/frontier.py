"""How far each method reaches: the largest batch of a model on a card, found by runs."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device, available_bytes
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Record
from nanocheck.core.units import mib
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, classify
from nanocheck.search import bisection, training_variants
from nanocheck.search.advice import Trial
from nanocheck.search.scheduler import Measuring, Search, drive

#: Cells that are searched side by side.
_SIDE_BY_SIDE = 2
#: Compiled runs take half a minute each: one probe beyond their frontier, not three.
_COMPILED_PROBES = (2.0,)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """
    Attributes:
        models: of each row, batch 1.
        methods: of each column, as ``axes.method`` reads them.
        most: the largest batch that is asked for.
    """

    device: Device
    models: tuple[StepConfig, ...]
    methods: tuple[str, ...]
    margin_bytes: int = DEFAULT_MARGIN_BYTES
    most: int = 512

    def config(self, model: StepConfig, method: str) -> StepConfig:
        """What a cell runs, but for the batch.

        Raises:
            RequestError: the method does not go with the model.
        """
        changes = training_variants.method(method)
        if changes.get("update") == "backward":
            changes["accumulation"] = 1  # there is nothing to accumulate in
        return replace(model, **changes)


@dataclass(kw_only=True)
class Cell:
    """
    Attributes:
        refusal: why the method does not go with the model; then nothing was run.
        found: ``None`` while the search has not ended.
        trials: by batch.
    """

    row: int
    column: int
    refusal: str = ""
    found: bisection.Found | None = None
    trials: dict[int, Trial] = field(default_factory=dict)


@dataclass(kw_only=True)
class Charted:
    """What was found, row by row. ``complete``: not interrupted."""

    chart: Chart
    cells: list[Cell]
    complete: bool = False


def search(chart: Chart, measuring: Measuring) -> Charted:
    """Fill every cell, until it is done or Ctrl-C; what was found until then is kept.

    Raises:
        RequestError: an unknown method.
        MachineError: nothing can run here.
    """
    for each in chart.methods:
        training_variants.method(each)
    charted = Charted(chart=chart, cells=[])
    for row, model in enumerate(chart.models):
        for column, method in enumerate(chart.methods):
            cell = Cell(row=row, column=column)
            try:
                chart.config(model, method)
            except RequestError as error:
                cell.refusal = error.problem
            charted.cells.append(cell)
    queue = iter([each for each in charted.cells if not each.refusal])
    with contextlib.suppress(KeyboardInterrupt):
        drive(measuring, [_several(charted, queue) for _ in range(_SIDE_BY_SIDE)])
        charted.complete = True
    return charted


def _several(charted: Charted, queue: Iterator[Cell]) -> Search:
    for cell in queue:
        yield from _fill(charted, cell)


def _fill(charted: Charted, cell: Cell) -> Generator[Sequence[StepConfig], Sequence[Record], None]:
    chart = charted.chart
    config = chart.config(chart.models[cell.row], chart.methods[cell.column])
    device = chart.device
    limit = device.available_bytes - chart.margin_bytes
    probes = bisection.PROBES if config.compile == "off" else _COMPILED_PROBES
    asking = bisection.largest(range(1, chart.most + 1), limit, start=_start(charted, cell), probes=probes)
    batch = next(asking)
    while True:
        record = (yield [replace(config, batch=batch)])[0]
        trial = Trial(record=record, verdict=classify(record, chart.margin_bytes))
        cell.trials[batch] = trial
        try:
            batch = asking.send(trial)
        except StopIteration as end:
            cell.found = end.value
            return


def _start(charted: Charted, cell: Cell) -> int:
    """A compiled column begins where another column of the same row ended; runs are dear there."""
    config = charted.chart.config(charted.chart.models[cell.row], charted.chart.methods[cell.column])
    ended = [each.found.largest for each in charted.cells if each.row == cell.row and each.found is not None]
    return max(ended, default=1) if config.compile != "off" else 1


def to_dict(charted: Charted) -> dict[str, Any]:
    """Plain data for JSON; sizes in bytes."""
    from nanocheck.report import advice_data

    chart = charted.chart
    return {
        "schema": advice_data.SCHEMA,
        "kind": "frontier",
        **advice_data.where(chart.device, chart.margin_bytes),
        "accumulation": chart.models[0].accumulation,
        "complete": charted.complete,
        "rows": [{"label": _label(each), "model": advice_data.model(each)} for each in chart.models],
        "columns": list(chart.methods),
        "cells": [_cell(each) for each in charted.cells],
        "runs": sum(len(each.trials) for each in charted.cells),
        "environment": next(
            (dict(trial.record.environment) for each in charted.cells for trial in each.trials.values()), {}
        ),
    }


def _label(model: StepConfig) -> str:
    if model.model == "gpt2":
        return f"{model.n_layer} x {model.n_embd}"
    return f"d{model.n_layer}"


def _cell(cell: Cell) -> dict[str, Any]:
    from nanocheck.report import advice_data

    found = cell.found
    largest = 0 if found is None else found.largest
    refused = None if found is None else found.refused
    return {
        "row": cell.row,
        "column": cell.column,
        "known": found is not None,
        "refusal": cell.refusal,
        "largest": largest,
        "exceptions": [] if found is None else list(found.exceptions),
        "fits": advice_data.run(cell.trials[largest]) if largest else None,
        "refused": advice_data.run(cell.trials[refused]) if refused is not None else None,
        "runs": [advice_data.run(cell.trials[batch]) for batch in sorted(cell.trials)],
    }


def text(chart: Mapping[str, Any], width: int = 100) -> str:
    """The table as a terminal shows it, and what cannot be said in it."""
    from nanocheck.report.terminal import table

    device, rows = chart["device"], chart["rows"]
    model = rows[0]["model"]
    available = available_bytes(device)
    head = (
        f"{model['model']}, sequences of {model['block_size']:,}: the largest batch that leaves "
        f"{mib(chart['margin_bytes'])} MiB of {mib(available)} free on {device['name']}, "
        f"{device['platform']}, and what it reserves in MiB; accumulation {chart['accumulation']}"
    )
    cells = {(each["row"], each["column"]): each for each in chart["cells"]}
    shown = [
        {
            model["model"]: row["label"],
            "parameters": f"{row['model']['parameters'] / 1e6:,.0f} M",
            **{name: words(cells[at, column]) for column, name in enumerate(chart["columns"])},
        }
        for at, row in enumerate(rows)
    ]
    notes = [line for each in chart["cells"] for line in remarks(each, chart)]
    provenance = sorted({run["provenance"] for each in chart["cells"] for run in each["runs"]})
    notes.append(f"{chart['runs']} runs, {' and '.join(provenance) or 'none'}.")
    if not chart["complete"]:
        notes.append("interrupted: nothing is known of what is missing")
    return "\n\n".join([_wrap(head, width), table(shown), "\n".join(_wrap(each, width) for each in notes)])


def words(cell: Mapping[str, Any]) -> str:
    """``8 (9,534.66)``; a dash where not even 1 fits."""
    if cell["refusal"]:
        return "cannot"
    if not cell["known"]:
        return "?"
    if not cell["largest"]:
        return "-"
    return f"{cell['largest']} ({mib(cell['fits']['reserved_bytes'])})"


def remarks(cell: Mapping[str, Any], chart: Mapping[str, Any]) -> list[str]:
    """Sentences for what the table has no room for: refusals, what even batch 1 asked for, exceptions."""
    where = f"{chart['rows'][cell['row']]['label']}, {chart['columns'][cell['column']]}"
    found = []
    if cell["refusal"]:
        found.append(f"{where}: {cell['refusal']}")
    if cell["known"] and not cell["largest"] and cell["refused"] is not None:
        found.append(f"{where}, batch {cell['refused']['batch']}: {cell['refused']['sentence']}")
    for batch in cell["exceptions"]:
        found.append(f"{where}: not monotone: {batch} fits, although a smaller batch does not")
    odd = [run for run in cell["runs"] if run["verdict"] not in ("safe", "tight", "oom")]
    found += [f"{where}, batch {run['batch']} gave no answer: {run['sentence']}" for run in odd[:1]]
    return found


def _wrap(line: str, width: int) -> str:
    import textwrap

    return textwrap.fill(line, max(40, width), break_long_words=False, break_on_hyphens=False)
