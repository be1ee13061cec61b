"""How far each method reaches: the largest batch of a model on a card, found by runs."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.result import RunResult
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, JudgedRun
from nanocheck.search import bisection, training_variants
from nanocheck.search.advice import Trial
from nanocheck.search.scheduler import Runner, drive

#: Cells that are searched side by side.
_SIDE_BY_SIDE = 2
#: Compiled runs take half a minute each: one probe beyond their frontier, not three.
_COMPILED_PROBES = (2.0,)


#: Yields configurations to run and is sent their results.
_Asking = Generator[Sequence[StepConfig], Sequence[RunResult], None]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """
    Attributes:
        models: of each row, batch 1.
        methods: of each column, as ``axes.method`` reads them.
        most: the largest batch that is asked for.
    """

    target: Target
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


def search(chart: Chart, runner: Runner[StepConfig, RunResult]) -> Charted:
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
        drive(runner, [_several(charted, queue) for _ in range(_SIDE_BY_SIDE)])
        charted.complete = True
    return charted


def _several(charted: Charted, queue: Iterator[Cell]) -> _Asking:
    for cell in queue:
        yield from _fill(charted, cell)


def _fill(charted: Charted, cell: Cell) -> _Asking:
    chart = charted.chart
    config = chart.config(chart.models[cell.row], chart.methods[cell.column])
    limit = chart.target.device.surely_available_bytes - chart.margin_bytes
    probes = bisection.PROBES if config.compile == "off" else _COMPILED_PROBES
    asking = bisection.largest_that_fits(
        range(1, chart.most + 1), limit, start=_start(charted, cell), probes=probes
    )
    (batch,) = next(asking)
    while True:
        result = (yield [replace(config, batch=batch)])[0]
        trial = Trial(run=JudgedRun.of(result, chart.margin_bytes))
        cell.trials[batch] = trial
        try:
            (batch,) = asking.send({batch: trial})
        except StopIteration as end:
            cell.found = end.value
            return


def _start(charted: Charted, cell: Cell) -> int:
    """A compiled column begins where another column of the same row ended; runs are dear there."""
    config = charted.chart.config(charted.chart.models[cell.row], charted.chart.methods[cell.column])
    ended = [each.found.largest for each in charted.cells if each.row == cell.row and each.found is not None]
    return max(ended, default=1) if config.compile != "off" else 1
