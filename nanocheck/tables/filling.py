"""Filling a table: which runs are made, and which cells they answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.verdict import Verdict, classify
from nanocheck.search.scheduler import Pending, Search, drive
from nanocheck.tables.derivation import derive, with_room
from nanocheck.tables.sharing import SharedRuns


@dataclass(frozen=True)
class Ask:
    """One run. ``record``: with the kernels of a step."""

    config: StepConfig
    target: Target
    record: bool = False


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a cell.

    Attributes:
        roomy: the run with room that says what the step asks for. run_on: the card it was made for.
        own: the run on the card itself, where there was one.
    """

    verdict: Verdict
    roomy: RunResult
    run_on: str
    own: RunResult | None = None


@dataclass(kw_only=True)
class Filled:
    """Cells by (configuration, card); ``recorded``: by (configuration, capability), the run that has kernels.

    ``with_room``, ``on_card``: how many runs were made of each kind. ``complete``: not interrupted.
    """

    cells: dict[tuple[str, str], Known] = field(default_factory=dict)
    recorded: dict[tuple[str, tuple[int, int]], RunResult] = field(default_factory=dict)
    with_room: int = 0
    on_card: int = 0
    complete: bool = False


class Submits:
    """A measurement as ``drive`` wants it: a question is an ``Ask``."""

    def __init__(self, submit: Callable[..., Pending[RunResult]], wait: Callable[[], None]) -> None:
        self._submit, self.wait = submit, wait

    def submit(self, question: Ask, /) -> Pending[RunResult]:
        return self._submit(question.config, record=question.record, target=question.target)


def fill(
    configs: Sequence[StepConfig],
    targets: Sequence[Target],
    runner: Submits,
    *,
    margin_bytes: int,
    record: bool = False,
    share: bool = True,
) -> Filled:
    """Every configuration on every card; until Ctrl-C, which keeps what was found.

    Args:
        record: record a step's kernels, once for each compute capability.
        share: False runs every cell on its own card.

    Raises:
        MachineError: nothing can be started here.
    """
    filled = Filled()
    kinds: dict[tuple[int, int], list[Target]] = {}
    for target in targets:
        kinds.setdefault(target.gpu.capability, []).append(target)
    one = _shared if share else _each
    with contextlib.suppress(KeyboardInterrupt):
        drive(
            runner,
            [
                one(filled, config, kind, margin_bytes, record)
                for config in configs
                for kind in kinds.values()
            ],
        )
        filled.complete = True
    return filled


def _each(
    filled: Filled, config: StepConfig, targets: Sequence[Target], margin_bytes: int, record: bool
) -> Search[Ask, RunResult]:
    """One configuration on each card of one compute capability, nothing derived."""
    runs = yield [Ask(config, target, record) for target in targets]
    for target, own in zip(targets, runs, strict=True):
        filled.on_card += 1
        verdict = classify(own, margin_bytes)
        filled.cells[config.id, target.gpu.id] = Known(
            verdict=verdict, roomy=own, run_on=target.gpu.id, own=own
        )
        if record and verdict.fits:
            filled.recorded[config.id, target.gpu.capability] = own


def _shared(
    filled: Filled, config: StepConfig, targets: Sequence[Target], margin_bytes: int, record: bool
) -> Search[Ask, RunResult]:
    """One configuration on the cards of one compute capability."""
    runs = SharedRuns(config, targets)
    while asks := [
        Ask(config, with_room(each), record and each is runs.largest) for each in runs.missing(targets)
    ]:
        results = yield asks
        filled.with_room += len(asks)
        for each, result in zip(asks, results, strict=True):
            runs.add(each.target, result)
    if record and (found := runs.answer(runs.largest)) and found[0].outcome is Outcome.COMPLETED:
        filled.recorded[config.id, runs.largest.gpu.capability] = found[0]
    roomy = {target.gpu.id: answer for target in targets if (answer := runs.answer(target))}
    border: list[Target] = []
    for target in targets:
        run, run_on = roomy[target.gpu.id]
        verdict = derive(run, target, margin_bytes)
        if verdict is None:
            border.append(target)
        else:
            filled.cells[config.id, target.gpu.id] = Known(verdict=verdict, roomy=run, run_on=run_on)
    for target in border:
        (own,) = yield [Ask(config, target)]
        filled.on_card += 1
        run, run_on = roomy[target.gpu.id]
        filled.cells[config.id, target.gpu.id] = Known(
            verdict=classify(own, margin_bytes), roomy=run, run_on=target.gpu.id, own=own
        )
