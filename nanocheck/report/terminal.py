"""The answer as a terminal shows it: the verdict first, then who holds the memory, where, and when."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from tabulate import tabulate

from nanocheck.core.device import available_bytes
from nanocheck.core.units import mib

_LARGEST = 10
_MIB = "MiB"


def text(answer: dict[str, Any], width: int = 100) -> str:
    """The whole answer; lines of at most ``width`` where words allow it."""
    verdict = answer["verdict"]
    blocks = [_fill(f"{verdict['kind'].upper()}: {_without(verdict['sentence'], verdict['kind'])}", width)]
    device = answer["device"]
    blocks.append(_fill(_card(answer["provenance"], device), width))
    processes = answer["processes"]
    for index, process in enumerate(processes):
        if index:
            blocks.append(_fill(_heading(process), width))
        blocks += _process(process, device, width, whole=index == 0)
    blocks += [_fill(f"note: {note}", width) for note in answer["notes"]]
    return "\n\n".join(block for block in blocks if block)


def table(rows: Sequence[dict[str, Any]], left: Sequence[str] = ()) -> str:
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


def _process(process: dict[str, Any], device: dict[str, Any], width: int, *, whole: bool) -> list[str]:
    oom = process["oom"]
    blocks = [_figures(process, device, width)]
    if oom is not None:
        blocks.append(_oom(oom, width))
    if whole or oom is not None:
        blocks.append(_groups(process["groups"]))
    if (whole and oom is None) or (oom is not None and oom["caught"]):  # else they are told: those alive then
        blocks.append(_largest(process["largest"], "largest at the peak", width))
    return [*blocks, _phases(process["phases"])]


def _figures(process: dict[str, Any], device: dict[str, Any], width: int) -> str:
    peak, at, pieces = process["peak"], process["at"], process["fragmentation"]
    available = available_bytes(device)
    rows = [
        ("peak allocated", mib(peak["allocated_bytes"]), _at(at)),
        ("peak reserved", mib(peak["reserved_bytes"]), f"of {mib(available)} that PyTorch may reserve"),
        (
            "peak process",
            mib(peak["process_bytes"]),
            f"with {mib(device['context_bytes'])} of CUDA's own, of {mib(device['capacity_bytes'])}",
        ),
    ]
    if pieces is not None:
        unused = f"reserved and unused at the reserved peak; allocator retries: {process['retries']}"
        rows.append(("fragmentation", mib(pieces["inactive_bytes"]), unused))
    return tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=("left", "right", "left"))


def _at(at: dict[str, Any] | None) -> str:
    if at is None:
        return ""
    line = f": {at['line']}" if at.get("line") else ""
    return f"in {at['phase']} of step {at['step']}, {place(at.get('where'))}{line}"


def _groups(groups: Sequence[dict[str, Any]]) -> str:
    total = sum(group["bytes"] for group in groups)
    rows = [
        {"holds the peak": each["group"], _MIB: mib(each["bytes"]), "tensors": f"{each['count']:,}"}
        for each in groups
    ]
    if rows:
        count = sum(group["count"] for group in groups)
        rows.append({"holds the peak": "= peak allocated", _MIB: mib(total), "tensors": f"{count:,}"})
    return table(rows, left=("holds the peak",))


def _largest(found: Sequence[dict[str, Any]], title: str, width: int) -> str:
    rows = [
        {
            _MIB: mib(each["bytes"]),
            title: each["group"] + (f" x {each['count']}" if each["count"] > 1 else ""),
            "shape": shape(each["shape"]),
            "where": _line(each),
        }
        for each in found[:_LARGEST]
    ]
    used = max((sum(len(row[name]) + 2 for name in row if name != "where") for row in rows), default=0)
    room = max(20, width - used - 4)
    for row in rows:
        row["where"] = row["where"] if len(row["where"]) <= room else row["where"][: room - 3] + "..."
    return table(rows, left=(title, "shape", "where"))


def _line(each: dict[str, Any]) -> str:
    return place(each["where"]) + (f"  {each['line'].strip()}" if each.get("line") else "")


def _phases(phases: Sequence[dict[str, Any]]) -> str:
    return table(
        [
            {
                "phase": each["phase"],
                "peak allocated MiB": mib(each["allocated_bytes"]),
                "reserved MiB": mib(each["reserved_bytes"]),
            }
            for each in phases
        ],
        left=("phase",),
    )


def _oom(oom: dict[str, Any], width: int) -> str:
    asked = (
        f"out of memory in {oom['phase']} of step {oom['step']}: asked for {mib(oom['requested_bytes'])} MiB"
    )
    if oom["shape"] is not None:
        asked += f" ({shape(oom['shape'])})"
    asked += f", {mib(oom['free_bytes'])} MiB were free"
    if oom["caught"]:
        asked += "; the script caught it and went on"
    line = f"\n  {place(oom['where'])}: {(oom['line'] or '').strip()}" if oom["where"] else ""
    alive = _largest(oom["alive"], "alive then", width)
    return _fill(asked, width) + line + (f"\n\n{alive}" if alive else "")


def _card(provenance: str, device: dict[str, Any]) -> str:
    parts = [f"{provenance} on {device['name']}", device["platform"]]
    if device["reserve_bytes"]:
        parts.append(f"{mib(device['reserve_bytes'])} MiB used by other processes")
    if device["capped_from"]:
        parts.append(f"{device['capped_from']}, its memory capped")
    return ", ".join(parts) + "; sizes in MiB"


def _heading(process: dict[str, Any]) -> str:
    return f"process {process['pid']}: {' '.join(process['command'])}"


def _without(sentence: str, kind: str) -> str:
    return sentence.removeprefix(f"{kind}: ")


def _fill(line: str, width: int) -> str:
    return textwrap.fill(line, max(40, width), break_long_words=False, break_on_hyphens=False)
