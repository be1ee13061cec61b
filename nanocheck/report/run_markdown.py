"""A run as a page of Markdown: the verdict, the ranks where there are several, then who holds the memory, the
phases, and what to know about the numbers. It has no date: the same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.result import Group, ProcessMemory
from nanocheck.core.scrub import scrub
from nanocheck.core.units import mib
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import caveats, time_text
from nanocheck.report.markdown_cells import code, escape, frame_of, table
from nanocheck.report.rank_rows import (
    ROW_NUMBERS,
    RankRow,
    imbalance_sentence,
    in_full,
    rank_rows,
    row_cells,
)
from nanocheck.report.run_file import RunFile
from nanocheck.report.terminal import moment, place, shape

_LARGEST = 10
_NUMBERS = ("MiB", "tensors", "allocated, MiB", "reserved, MiB")


def render(run: JudgedRun) -> str:
    """The whole page, ending in a newline; of a ``RunFile`` of ``--time`` also how long a step takes."""
    result = run.result
    where = f"{escape(result.device_name or 'this device')}, {escape(result.device.platform)}"
    parts = [
        f"# {run.verdict.kind.upper()} on {where}",
        f"{escape(run.verdict.sentence)}.",
        caveats.sentence(result.provenance),
    ]
    if isinstance(run, RunFile) and run.step_time is not None:
        time = run.step_time
        parts.append(f"{escape(time_text.headline(time, result.device.name))} ({time.provenance}).")
    rows = rank_rows(run)
    if rows:
        parts += _by_rank(rows, result.world, imbalance_sentence(result))
    on_several = {each.pid for each in result.processes if each.other_cards}
    for index, process in enumerate(in_full(result)):
        several = process.pid in on_several
        parts += _process(process, whole=index == 0 or several, card=several)
    notes = [f"- {escape(each)}" for each in result.notes]
    nccl = any(each.communicators for each in result.processes)
    notes += [f"- {escape(each)}" for each in caveats.limits_of_command(result.provenance, nccl=nccl)]
    facts = [{"what": name, "value": str(value)} for name, value in result.environment.known.items()]
    parts += ["## Notes and limits", "\n".join(notes)]
    parts += ["## Environment", table(frame_of(facts))] if facts else []
    parts += ["## What was run", code(" ".join(result.id.split()))]
    return scrub("\n\n".join(part for part in parts if part)) + "\n"


def _by_rank(rows: Sequence[RankRow], world: int, imbalance: str) -> list[str]:
    said = f"{imbalance[:1].upper()}{imbalance[1:]}. " if imbalance else ""
    said += "The machine's verdict is that of the worst of them."
    ranks = any(row.name for row in rows)
    title = f"## {'Rank by rank' if ranks else 'Card by card'}" + (f", of {world}" if world > 1 else "")
    cells = []
    for row, shown in zip(rows, row_cells(rows), strict=True):
        at = row.memory.at
        words = {} if at is None else {"most allocated": moment(at)}
        cells.append({**shown, "most allocated": "", **words})
    numbers = ROW_NUMBERS if ranks else ROW_NUMBERS[1:]
    return [title, escape(said), table(frame_of(cells), right=numbers)]


def _process(process: ProcessMemory, *, whole: bool, card: bool) -> list[str]:
    whose = f"Rank {process.rank}" if process.rank is not None else f"Process {process.pid or ''}".strip()
    whose += f", card {process.card}" if card else ""
    figures = [
        {"peak": name, "MiB": mib(size), "bytes": f"{size:,}"}
        for name, size in (
            ("allocated", process.allocated_bytes),
            ("reserved", process.reserved_bytes),
            ("process", process.process_bytes),
        )
    ]
    parts = [f"## {whose}", table(frame_of(figures), right=("MiB", "bytes"))]
    if process.at is not None:
        parts.append(f"Most is allocated {escape(moment(process.at))}.")
    groups, largest, title = process.groups, process.largest, "At the peak"
    oom = process.oom
    if oom is not None:
        size = f" ({shape(oom.shape)})" if oom.shape is not None else ""
        asked = f"Out of memory in {oom.phase} of step {oom.step}: {f'{oom.by} ' if oom.by else ''}asked for "
        asked += f"{mib(oom.requested_bytes)} MiB"
        line = f", {place(oom.where)}: {(oom.line or '').strip()}" if oom.where else ""
        parts.append(escape(f"{asked}{size}{line}."))
        if not oom.caught:
            groups, largest, title = oom.groups, oom.alive, "Alive when memory ran out"
    if whole or oom is not None:
        parts += _held(groups, title)
        held = [
            {
                "MiB": mib(each.bytes),
                "largest": each.group + (f" x {each.count}" if each.count > 1 else ""),
                "shape": shape(each.shape),
                "where": "  ".join(filter(None, (place(each.where), (each.line or "").strip()))),
            }
            for each in largest[:_LARGEST]
        ]
        parts += [table(frame_of(held), right=_NUMBERS)] if held else []
    phases = [
        {"phase": phase, "allocated, MiB": mib(allocated), "reserved, MiB": mib(reserved)}
        for phase, (allocated, reserved) in process.phase_peaks().items()
    ]
    return [*parts, table(frame_of(phases), right=_NUMBERS) if phases else ""]


def _held(groups: Sequence[Group], title: str) -> list[str]:
    rows = [{"what": each.group, "MiB": mib(each.bytes), "tensors": f"{each.count:,}"} for each in groups]
    return [f"{title}:", table(frame_of(rows), right=_NUMBERS)] if rows else []
