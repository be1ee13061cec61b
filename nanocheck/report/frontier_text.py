"""The frontier as a terminal shows it: the largest batch of each method, and what a table has no room for."""

from __future__ import annotations

from nanocheck.core.units import mib
from nanocheck.report.advice_data import FrontierCell, FrontierFile
from nanocheck.report.blocks import Block, prose, stack
from nanocheck.report.terminal_table import table


def render(chart: FrontierFile) -> list[Block]:
    """The table, and what cannot be said in it."""
    device, rows = chart.device, chart.rows
    model = rows[0]
    head = (
        f"{model.model}, sequences of {model.block_size:,}: the largest batch that leaves "
        f"{mib(chart.margin_bytes)} MiB of {mib(device.available_bytes)} free on {device.name}, "
        f"{device.platform}, and what it reserves in MiB; accumulation {chart.accumulation}"
    )
    if chart.cards > 1:
        head += f"; of each of {chart.cards} ranks, a card each, ddp where a column says nothing else"
    shown = [
        {
            model.model: row.label,
            "parameters": f"{row.parameters / 1e6:,.0f} M",
            **{name: words(chart.cell(at, column)) for column, name in enumerate(chart.columns)},
        }
        for at, row in enumerate(rows)
    ]
    notes = [line for each in chart.cells for line in remarks(each, chart)]
    notes.append(f"{chart.runs} runs, {' and '.join(chart.provenances) or 'none'}.")
    if not chart.complete:
        notes.append("interrupted: nothing is known of what is missing")
    return [prose(head), table(shown), stack(*map(prose, notes))]


def words(cell: FrontierCell) -> str:
    """``8 (9,534.66)``; a dash where not even 1 fits."""
    if cell.refusal:
        return "cannot"
    if not cell.known:
        return "?"
    if cell.fits is None:
        return "-"
    return f"{cell.largest} ({mib(cell.fits.reserved_bytes)})"


def remarks(cell: FrontierCell, chart: FrontierFile) -> list[str]:
    """Sentences for what the table has no room for: refusals, what even batch 1 asked for, exceptions."""
    where = f"{chart.rows[cell.row].label}, {chart.columns[cell.column]}"
    found = []
    if cell.refusal:
        found.append(f"{where}: {cell.refusal}")
    if cell.known and not cell.largest and cell.refused is not None:
        found.append(f"{where}, batch {cell.refused.batch}: {cell.refused.verdict}")
    for batch in cell.exceptions:
        found.append(f"{where}: not monotone: {batch} fits, although a smaller batch does not")
    odd = [run for run in cell.runs if not run.verdict.is_answer]
    found += [f"{where}, batch {run.batch} gave no answer: {run.verdict}" for run in odd[:1]]
    return found
