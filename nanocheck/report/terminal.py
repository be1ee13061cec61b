"""A run as a terminal shows it: the verdict first, then who holds the memory, where, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from nanocheck.core.device import Device
from nanocheck.core.result import Group, Holding, Moment, OutOfMemory, ProcessMemory, RunResult
from nanocheck.core.units import mib, mib_span
from nanocheck.core.verdict import JudgedRun
from nanocheck.report.blocks import Block, Prose, prose, provenance, stack, verdict, verdict_sentence
from nanocheck.report.rank_rows import RankRow, imbalance_sentence, in_full, rank_rows, row_cells
from nanocheck.report.terminal_table import Table, table

_LARGEST = 10
#: Characters of a source line in a table; more of it says no more about its memory.
_SOURCE = 120
_MIB = "MiB"


def render(run: JudgedRun) -> list[Block]:
    """All of it, the verdict as prose first."""
    result = run.result
    blocks: list[Block] = [prose(verdict_sentence(run.verdict, run.verdict.kind.upper())), _card(result)]
    by_rank = rank_rows(run)
    if by_rank:
        blocks.append(_ranks(by_rank))
        blocks += [prose(sentence) for sentence in filter(None, [imbalance_sentence(result)])]
    shared_out = {each.pid for each in result.processes if each.other_cards}
    for index, process in enumerate(in_full(result)):
        if index or by_rank:
            whose = "" if process.rank is None else f"rank {process.rank}, "
            whose += f"card {process.card}, " if process.pid in shared_out else ""
            blocks.append(prose(f"{whose}process {process.pid}: {' '.join(process.command)}", style="bold"))
        blocks += _process(
            process, result.device_of(process.card), whole=index == 0 or process.pid in shared_out
        )
    return blocks + [prose(f"note: {note}") for note in result.notes]


def shape(sizes: Iterable[int] | None) -> str:
    return "" if sizes is None else "x".join(str(size) for size in sizes) or "scalar"


def place(where: str | None) -> str:
    """``folder/file.py:12``: the last two parts of the path, since the whole is seldom needed."""
    if where is None:
        return "?"
    path = PurePath(where)
    return str(PurePath(*path.parts[-2:])) if path.is_absolute() else where


def moment(at: Moment) -> str:
    """``in backward of step 1, train.py:12: loss.backward()``"""
    line = f": {at.line.strip()}" if at.line else ""
    return f"in {at.phase} of step {at.step}, {place(at.where)}{line}"


def _process(process: ProcessMemory, device: Device, *, whole: bool) -> list[Block]:
    oom = process.oom
    blocks: list[Block] = [_figures(process, device)]
    if oom is not None:
        blocks += _oom(oom)
    if whole or oom is not None:
        blocks.append(_groups(process.groups))
    # After an out-of-memory that ended it, what was alive then has been shown.
    if (whole and oom is None) or (oom is not None and oom.caught):
        blocks.append(_largest(process.largest, "largest at the peak"))
    return [*blocks, _phases(process)]


def _ranks(rows: Sequence[RankRow]) -> Table:
    shown = [
        {
            **cells,
            "verdict": "" if row.kind is None else verdict(row.kind),
            "at": _at(row.memory.at),
        }
        for row, cells in zip(rows, row_cells(rows), strict=True)
    ]
    return table(shown, left=["at"], whole=["verdict"])


def _figures(process: ProcessMemory, device: Device) -> Table:
    context = mib_span(device.context_bytes, device.context_most_bytes)
    capacity = mib_span(device.sure_capacity_bytes, device.capacity_bytes)
    taken = (process.nccl_least_bytes, process.nccl_most_bytes)
    nccl = f" and {mib_span(*taken)} of NCCL's" if taken[1] else ""
    figures = [
        ("peak allocated", process.allocated_bytes, _at(process.at)),
        (
            "peak reserved",
            process.reserved_bytes,
            f"of {mib(device.available_bytes)} that PyTorch may reserve",
        ),
        ("peak process", process.process_bytes, f"with {context} of CUDA's own{nccl}, of {capacity}"),
    ]
    if process.fragmentation is not None:
        unused = f"reserved and unused at the reserved peak; allocator retries: {process.retries}"
        figures.append(("fragmentation", process.fragmentation.inactive_bytes, unused))
    rows = [{"what": what, _MIB: mib(size), "more": more} for what, size, more in figures]
    return table(rows, whole=["what"], left=["more"], header=False)


def _at(at: Moment | None) -> str:
    return "" if at is None else moment(at)


def _groups(groups: Sequence[Group]) -> Table:
    rows = [
        {"holds the peak": each.group, _MIB: mib(each.bytes), "tensors": f"{each.count:,}"} for each in groups
    ]
    if rows:
        total, count = sum(group.bytes for group in groups), sum(group.count for group in groups)
        rows.append({"holds the peak": "= peak allocated", _MIB: mib(total), "tensors": f"{count:,}"})
    return table(rows, left=["holds the peak"])


def _largest(found: Sequence[Holding], title: str) -> Table:
    rows = [
        {
            _MIB: mib(each.bytes),
            title: each.group + (f" x {each.count}" if each.count > 1 else ""),
            "shape": shape(each.shape),
            "where": place(each.where) + (f"  {_source(each.line)}" if each.line else ""),
        }
        for each in found[:_LARGEST]
    ]
    return table(rows, left=[title, "where"], whole=["shape"])


def _phases(process: ProcessMemory) -> Table:
    rows = [
        {"phase": phase, "peak allocated MiB": mib(allocated), "reserved MiB": mib(reserved)}
        for phase, (allocated, reserved) in process.phase_peaks().items()
    ]
    return table(rows, whole=["phase"])


def _oom(oom: OutOfMemory) -> list[Block]:
    who = f"{oom.by} " if oom.by else ""
    asked = f"out of memory in {oom.phase} of step {oom.step}: {who}asked for {mib(oom.requested_bytes)} MiB"
    if oom.shape is not None:
        asked += f" ({shape(oom.shape)})"
    if oom.free_bytes is not None:
        asked += f", {mib(oom.free_bytes)} MiB were free"
    if oom.caught:
        asked += "; the script caught it and went on"
    lines = [prose(asked)]
    if oom.where:
        lines.append(prose(f"{place(oom.where)}: {(oom.line or '').strip()}", indent=2, hanging=2))
    return [stack(*lines), _largest(oom.alive, "alive then")]


def _source(line: str) -> str:
    line = line.strip()
    return line if len(line) <= _SOURCE else line[: _SOURCE - 3] + "..."


def _card(result: RunResult) -> Prose:
    device = result.device
    parts = [f" on {result.device_name}", device.platform]
    if device.reserve_bytes:
        parts.append(f"{mib(device.reserve_bytes)} MiB used by other processes")
    if device.capped_from:
        parts.append(f"{device.capped_from}, its memory capped")
    return prose(provenance(result.provenance), ", ".join(parts) + "; sizes in MiB")
