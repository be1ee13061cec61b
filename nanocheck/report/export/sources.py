"""What nanocheck stores, as ``CardRun``s: what is known of a run differs with the file that holds it."""

from __future__ import annotations

import hashlib
import shlex

from nanocheck.core.anonymous import portable
from nanocheck.core.comparison import Comparison
from nanocheck.core.rank_runs import machine_name
from nanocheck.core.result import Environment, RunResult
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.step_time import StepTime
from nanocheck.core.table import Cell, Table, TableCard
from nanocheck.core.verdict import JudgedRun, Verdict
from nanocheck.report.export.card_run import CardRun, Span, StepSeconds
from nanocheck.report.report_file import Row
from nanocheck.search.every_card import CardRow, EveryCard

#: Longer names are cut, and a hash tells them apart: ``python -c`` can hold a whole program.
_LONGEST_NAME = 200


def of_run(run: JudgedRun, step_time: StepTime | None = None) -> CardRun:
    """Of what ``nanocheck run --json`` writes."""
    return _of(run.result, run.verdict, run.result.provenance.value, step_time=step_time)


def of_row(row: Row) -> CardRun:
    """Of a configuration in a report of the suites."""
    return _of(row.result, row.verdict, row.provenance, comparison=row.comparison)


def of_card(found: EveryCard, row: CardRow) -> CardRun:
    """Of a card among several: its context and driver are not in the row, so no range is known."""
    ended = row.verdict.headroom_bytes is not None
    return CardRun(
        name=name_of(found.command),
        gpu=portable(row.gpu),
        card=portable(row.name),
        platform=portable(found.platform),
        reserve_bytes=found.reserve_bytes,
        provenance=row.provenance.value,
        verdict=row.verdict,
        allocated_bytes=row.allocated_bytes if ended else None,
        reserved_bytes=row.reserved_bytes if ended else None,
        process=Span(row.verdict.process_bytes) if ended else None,
        headroom=None if row.verdict.headroom_bytes is None else Span(row.verdict.headroom_bytes),
        step=_modelled(row.time.estimate if row.time is not None else None),
        environment=Environment(nanocheck=found.nanocheck),
        command=found.command,
    )


def of_diff(found: RunDiff) -> CardRun:
    """Of the newer side of a comparison. Where it does not fit, its peaks can be those of the same card with
    more memory: they are peaks, too.
    """
    side = found.after
    return CardRun(
        name=_short(portable(found.id)),
        gpu=portable(found.gpu),
        card=portable(found.card),
        platform="linux",
        reserve_bytes=0,
        provenance=side.provenance.value,
        verdict=Verdict(
            kind=side.verdict,
            process_bytes=side.process_bytes,
            headroom_bytes=side.headroom_bytes,
            sentence=side.sentence,
        ),
        allocated_bytes=side.allocated_bytes if side.exact else None,
        reserved_bytes=side.reserved_bytes if side.exact else None,
        process=Span(side.process_bytes) if side.exact else None,
        headroom=None if side.headroom_bytes is None else Span(side.headroom_bytes),
        environment=Environment(torch=side.torch),
        growth=found,
    )


def of_cell(table: Table, card: TableCard, cell: Cell) -> CardRun:
    """Of a cell of a table. Where it does not fit, its peaks are those of a card with room: they are peaks,
    too.
    """
    context = card.context_most_bytes - card.context_bytes
    drivers = card.usable_most_bytes - card.usable_bytes
    headroom = cell.verdict.headroom_bytes
    step = None
    if cell.time is not None:
        time = cell.time
        step = StepSeconds(
            seconds=time.seconds,
            low=time.low,
            high=time.high,
            level=0.8 if time.low is not None else None,
            provenance=time.provenance.value,
        )
    return CardRun(
        name=_short(portable(cell.setting)),
        gpu=portable(cell.gpu),
        card=portable(card.name),
        platform=portable(table.platform),
        reserve_bytes=table.reserve_bytes,
        provenance=cell.provenance.value,
        verdict=cell.verdict,
        allocated_bytes=cell.allocated_bytes,
        reserved_bytes=cell.reserved_bytes,
        process=None if headroom is None else _span(cell.verdict.process_bytes, context),
        headroom=None if headroom is None else _span(headroom, context + drivers),
        step=step,
        environment=table.environment,
        configuration=True,
    )


def name_of(command: tuple[str, ...]) -> str:
    """A command as its own name: one line without a place of this machine."""
    return _short(portable(shlex.join(portable(word) for word in command)))


def _short(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 12]}... {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _of(
    result: RunResult,
    verdict: Verdict,
    provenance: str,
    *,
    comparison: Comparison | None = None,
    step_time: StepTime | None = None,
) -> CardRun:
    device, ended = result.device, verdict.headroom_bytes is not None
    named = result.config is not None or result.test is not None
    context = _context_span(result)
    drivers = device.capacity_bytes - device.sure_capacity_bytes
    return CardRun(
        name=_short(portable(result.id)) if named else name_of(result.command or ()),
        gpu=portable(machine_name(result)),
        card=portable(result.device_name),
        platform=portable(device.platform),
        reserve_bytes=device.reserve_bytes,
        provenance=portable(provenance),
        verdict=verdict,
        allocated_bytes=result.main.allocated_bytes if ended else None,
        reserved_bytes=result.main.reserved_bytes if ended else None,
        process=_span(verdict.process_bytes, context) if ended else None,
        headroom=None
        if verdict.headroom_bytes is None
        else _span(verdict.headroom_bytes, None if context is None else context + drivers),
        step=_measured(result) or _modelled(step_time),
        environment=result.environment,
        comparison=comparison,
        command=result.command or (),
        configuration=result.config is not None,
        result=result,
    )


def _context_span(result: RunResult) -> int | None:
    """How much more CUDA may take than a virtual card does; of a real card the driver itself was asked."""
    device = result.device
    if device.kind != "virtual":
        return None
    share = result.fullest_card
    return (device.context_most_bytes - device.context_bytes) * share.processes + share.nccl_spread_bytes


def _span(least: int, more: int | None) -> Span:
    return Span(least, None if more is None else least + more)


def _modelled(time: StepTime | None) -> StepSeconds | None:
    if time is None:
        return None
    low, high, level = None, None, None
    if time.interval is not None:
        low, high, level = time.interval.low, time.interval.high, time.interval.level
    return StepSeconds(
        seconds=time.seconds, low=low, high=high, level=level, provenance=time.provenance.value
    )


def _measured(result: RunResult) -> StepSeconds | None:
    found = result.main.measured_step
    if found is None or found.seconds is None or found.refused:
        return None
    times = found.seconds
    return StepSeconds(
        seconds=times.median_s, low=times.lower_s, high=times.upper_s, level=0.8, provenance="measured"
    )
