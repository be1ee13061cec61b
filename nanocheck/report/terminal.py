"""A run as a terminal shows it: the verdict first, then who holds the memory, where, and when."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from tabulate import tabulate

from nanocheck.core.device import Device
from nanocheck.core.result import Group, Holding, Moment, OutOfMemory, ProcessMemory, RunResult
from nanocheck.core.units import mib
from nanocheck.core.verdict import JudgedRun

_LARGEST = 10
_MIB = "MiB"


def text(run: JudgedRun, width: int = 100) -> str:
    """All of it; lines of at most ``width`` where words allow it."""
    result, verdict = run.result, run.verdict
    blocks = [_fill(f"{verdict.kind.upper()}: {verdict.sentence}", width)]
    blocks.append(_fill(_card(result), width))
    for index, process in enumerate(result.processes):
        if index:
            blocks.append(_fill(f"process {process.pid}: {' '.join(process.command)}", width))
        blocks += _process(process, result.device, width, whole=index == 0)
    blocks += [_fill(f"note: {note}", width) for note in result.notes]
    return "\n\n".join(block for block in blocks if block)


def table(rows: Sequence[Mapping[str, str]], left: Sequence[str] = ()) -> str:
    """A table whose columns are right-aligned, except those named in ``left``."""
    if not rows:
        return ""
    align = ["left" if name in left else "right" for name in rows[0]]
    return tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True, colalign=align)


def shape(sizes: Iterable[int] | None) -> str:
    return "" if sizes is None else "x".join(str(size) for size in sizes) or "scalar"


def place(where: str | None) -> str:
    """``folder/file.py:12``: the last two parts of the path, since the whole is seldom needed."""
    if where is None:
        return "?"
    path = PurePath(where)
    return str(PurePath(*path.parts[-2:])) if path.is_absolute() else where


def _process(process: ProcessMemory, device: Device, width: int, *, whole: bool) -> list[str]:
    oom = process.oom
    blocks = [_figures(process, device)]
    if oom is not None:
        blocks.append(_oom(oom, width))
    if whole or oom is not None:
        blocks.append(_groups(process.groups))
    # After an out-of-memory that ended it, what was alive then has been shown.
    if (whole and oom is None) or (oom is not None and oom.caught):
        blocks.append(_largest(process.largest, "largest at the peak", width))
    return [*blocks, _phases(process)]


def _figures(process: ProcessMemory, device: Device) -> str:
    context, capacity = mib(device.context_bytes), mib(device.capacity_bytes)
    rows = [
        ("peak allocated", mib(process.allocated_bytes), _at(process.at)),
        (
            "peak reserved",
            mib(process.reserved_bytes),
            f"of {mib(device.available_bytes)} that PyTorch may reserve",
        ),
        ("peak process", mib(process.process_bytes), f"with {context} of CUDA's own, of {capacity}"),
    ]
    if process.fragmentation is not None:
        unused = f"reserved and unused at the reserved peak; allocator retries: {process.retries}"
        rows.append(("fragmentation", mib(process.fragmentation.inactive_bytes), unused))
    return tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=("left", "right", "left"))


def _at(at: Moment | None) -> str:
    if at is None:
        return ""
    line = f": {at.line}" if at.line else ""
    return f"in {at.phase} of step {at.step}, {place(at.where)}{line}"


def _groups(groups: Sequence[Group]) -> str:
    rows = [
        {"holds the peak": each.group, _MIB: mib(each.bytes), "tensors": f"{each.count:,}"} for each in groups
    ]
    if rows:
        total, count = sum(group.bytes for group in groups), sum(group.count for group in groups)
        rows.append({"holds the peak": "= peak allocated", _MIB: mib(total), "tensors": f"{count:,}"})
    return table(rows, left=("holds the peak",))


def _largest(found: Sequence[Holding], title: str, width: int) -> str:
    rows = [
        {
            _MIB: mib(each.bytes),
            title: each.group + (f" x {each.count}" if each.count > 1 else ""),
            "shape": shape(each.shape),
            "where": place(each.where) + (f"  {each.line.strip()}" if each.line else ""),
        }
        for each in found[:_LARGEST]
    ]
    used = max((sum(len(row[name]) + 2 for name in row if name != "where") for row in rows), default=0)
    room = max(20, width - used - 4)
    for row in rows:
        row["where"] = row["where"] if len(row["where"]) <= room else row["where"][: room - 3] + "..."
    return table(rows, left=(title, "shape", "where"))


def _phases(process: ProcessMemory) -> str:
    rows = [
        {"phase": phase, "peak allocated MiB": mib(allocated), "reserved MiB": mib(reserved)}
        for phase, (allocated, reserved) in process.phase_peaks().items()
    ]
    return table(rows, left=("phase",))


def _oom(oom: OutOfMemory, width: int) -> str:
    asked = f"out of memory in {oom.phase} of step {oom.step}: asked for {mib(oom.requested_bytes)} MiB"
    if oom.shape is not None:
        asked += f" ({shape(oom.shape)})"
    if oom.free_bytes is not None:
        asked += f", {mib(oom.free_bytes)} MiB were free"
    if oom.caught:
        asked += "; the script caught it and went on"
    line = f"\n  {place(oom.where)}: {(oom.line or '').strip()}" if oom.where else ""
    alive = _largest(oom.alive, "alive then", width)
    return _fill(asked, width) + line + (f"\n\n{alive}" if alive else "")


def _card(result: RunResult) -> str:
    device = result.device
    parts = [f"{result.provenance} on {device.name}", device.platform]
    if device.reserve_bytes:
        parts.append(f"{mib(device.reserve_bytes)} MiB used by other processes")
    if device.capped_from:
        parts.append(f"{device.capped_from}, its memory capped")
    return ", ".join(parts) + "; sizes in MiB"


def _fill(line: str, width: int) -> str:
    return textwrap.fill(line, max(40, width), break_long_words=False, break_on_hyphens=False)
