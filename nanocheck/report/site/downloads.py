"""The table as files that other programs read."""

from __future__ import annotations

import csv
import io

import msgspec

from nanocheck.core.scrub import scrub
from nanocheck.core.table import Table
from nanocheck.report.site.contents import Contents

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@")


def as_json(table: Table) -> str:
    """Everything, as ``nanocheck site`` and the others read it; ends in a newline."""
    return msgspec.json.encode(table).decode() + "\n"


def as_csv(contents: Contents) -> str:
    """A line for each cell, sizes in bytes and times in seconds; nothing known is an empty field."""
    table, stream = contents.table, io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    rows = [_row(contents, place) for place in range(len(table.cells))]
    writer.writerow(rows[0] if rows else [])
    writer.writerows([[_plain(each) for each in row.values()] for row in rows])
    return stream.getvalue()


def _row(contents: Contents, place: int) -> dict[str, object]:
    table = contents.table
    cell = table.cells[place]
    setting, card = contents.settings[cell.setting], contents.cards[cell.gpu]
    time, config = cell.time, setting.config
    return {
        "gpu": card.gpu,
        "card": card.name,
        "usable_bytes": card.usable_bytes,
        "setting": setting.id,
        "model": contents.model_of[setting.id].name,
        "parameters": setting.parameters,
        "batch": config.batch,
        "block_size": config.block_size,
        "accumulation": config.accumulation,
        "dtype": config.dtype,
        "compile": config.compile,
        "optimizer": config.optimizer,
        "checkpointing": config.checkpointing,
        "weights": config.weights,
        "loss": config.loss,
        "update": config.update,
        "memory_budget": config.memory_budget,
        "allocator": config.allocator,
        "cycle": config.cycle,
        "attention": cell.attention,
        "verdict": cell.verdict.kind.value,
        "headroom_bytes": cell.verdict.headroom_bytes,
        "allocated_bytes": cell.allocated_bytes,
        "reserved_bytes": cell.reserved_bytes,
        "process_bytes": cell.verdict.process_bytes,
        "seconds_modelled": None if time is None else time.seconds,
        "seconds_low": None if time is None else time.low,
        "seconds_high": None if time is None else time.high,
        "tokens_per_second_modelled": None if time is None else time.tokens_per_second,
        "how": cell.how.value,
        "run_on": cell.run_on,
        "provenance": cell.provenance.value,
        "torch": table.environment.torch,
        "platform": table.platform,
        "date": table.date,
        "command": cell.command,
    }


def _plain(value: object) -> object:
    """Text that a spreadsheet shows, and does not run."""
    if not isinstance(value, str):
        return value
    text = scrub(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
