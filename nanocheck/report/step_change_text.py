"""Two runs with the kernels of a step, compared: as text, as a page of Markdown and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import CardSource, find_gpu
from nanocheck.core.kernels import KernelList
from nanocheck.core.step_time import StepTime
from nanocheck.core.units import mib
from nanocheck.report.blocks import Block, prose, stack
from nanocheck.report.markdown_cells import escape, frame_of
from nanocheck.report.markdown_cells import table as markdown_table
from nanocheck.report.pairing_text import RenderedComparison
from nanocheck.report.run_file import RunFile
from nanocheck.report.terminal_table import table
from nanocheck.report.time_text import NOBODY_TIMED, ms
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate
from nanocheck.timing.step_change import KernelChange, KernelShare, changes

#: Rows that a terminal shows.
_SHOWN = 12
#: Rows that issue the same count as changed seconds only from here on.
_NOTICED_S = 5e-5


@dataclass(frozen=True, kw_only=True)
class ComparedSteps:
    """Two steps on one card, the card alone: the host's time is another day's.

    Attributes:
        peaks: allocated, then reserved bytes, each before and after.
    """

    gpu: str
    before: StepTime
    after: StepTime
    rows: tuple[KernelChange, ...]
    peaks: tuple[tuple[int, int], tuple[int, int]]

    @property
    def moved(self) -> bool:
        """Whether what is exact differs: kernels, or peaks."""
        return any(row.what != "same" for row in self.rows) or any(a != b for a, b in self.peaks)

    @property
    def shown(self) -> list[KernelChange]:
        return [row for row in self.rows if row.what != "same" or abs(row.seconds) >= _NOTICED_S]


def compare(before: RunFile, after: RunFile, gpus: Sequence[CardSource] = ()) -> ComparedSteps:
    """
    Args:
        gpus: where cards beside the catalog's come from.

    Raises:
        RequestError: one has no kernels, they are of two cards, or of one that is not known.
    """
    ids = [each.result.device.gpu for each in (before, after)]
    if ids[0] != ids[1]:
        raise RequestError(
            f"expected two runs for one card, found {ids[0]} and {ids[1]}",
            hint=f"run one again: nanocheck run --time --gpu {ids[0]} --json FILE -- ...",
        )
    card = Card.of(find_gpu(ids[0], gpus))
    old, new = _kernels(before, "before"), _kernels(after, "after")
    mains = before.result.main, after.result.main
    return ComparedSteps(
        gpu=ids[0],
        before=estimate(old, card),
        after=estimate(new, card),
        rows=changes(old, new, card),
        peaks=(
            (mains[0].allocated_bytes, mains[1].allocated_bytes),
            (mains[0].reserved_bytes, mains[1].reserved_bytes),
        ),
    )


def _kernels(run: RunFile, which: str) -> KernelList:
    found = run.result.main.kernels
    if found is None:
        raise RequestError(
            f"expected the kernels of a step in both runs, found none in the one {which}",
            hint="run it with --time: nanocheck run --time --json FILE -- ...",
        )
    return found


def render(found: ComparedSteps, names: tuple[str, str]) -> RenderedComparison:
    """The comparison in words.

    Args:
        names: of the two files.
    """
    return RenderedComparison(
        moved=found.moved,
        blocks=_blocks(found),
        markdown=_markdown(found, names),
        plain=_plain(found, names),
    )


def headline(found: ComparedSteps) -> str:
    """``the card computes 120.3 ms a step, before 101.0 (+19.3, +19.1%), modelled on rtx4070``."""
    old, new = found.before.card_seconds, found.after.card_seconds
    part = f", {new / old - 1:+.1%}" if old else ""
    return (
        f"the card computes {ms(new)} ms a step, before {ms(old)} ({1e3 * (new - old):+,.1f}{part}), "
        f"modelled on {found.gpu}"
    )


def _memory(found: ComparedSteps) -> list[str]:
    said = [
        f"peak {what}: {mib(old)} -> {mib(new)} MiB ({new - old:+,} bytes)"
        for what, (old, new) in zip(("allocated", "reserved"), found.peaks, strict=True)
        if old != new
    ]
    return said or ["peaks allocated and reserved: the same to the byte"]


def _rows(rows: list[KernelChange]) -> list[dict[str, str]]:
    return [
        {
            "": row.what,
            "kernel": " ".join(filter(None, (row.kind.value, row.name, row.shape))),
            "phase": row.phase,
            "launches": _pair(row, "launches"),
            "ms more": f"{1e3 * row.seconds:+,.2f}",
            "ms now": ms((row.after or KernelShare()).seconds),
        }
        for row in rows
    ]


def _pair(row: KernelChange, name: str) -> str:
    old, new = (getattr(each or KernelShare(), name) for each in (row.before, row.after))
    return f"{new:,}" if old == new else f"{old:,} -> {new:,}"


def _blocks(found: ComparedSteps) -> list[Block]:
    shown = found.shown
    blocks: list[Block] = [
        prose(headline(found), style="bold"),
        stack(*map(prose, _memory(found))),
        table(_rows(shown[:_SHOWN]), left=["kernel"], whole=["", "phase"]),
    ]
    hidden = shown[_SHOWN:]
    if hidden:
        more = sum(row.seconds for row in hidden)
        blocks.append(prose(f"and {len(hidden)} further rows, together {1e3 * more:+,.2f} ms"))
    if not shown:
        blocks.append(prose("every kernel is issued as before"))
    return [*blocks, prose(f"note: {NOBODY_TIMED}; the host's time is not compared")]


def _markdown(found: ComparedSteps, names: tuple[str, str]) -> str:
    rows = _rows(found.shown)
    numbers = ["launches", "ms more", "ms now"]
    parts = [
        "# What made the step slower?",
        f"Before: {escape(names[0])}; after: {escape(names[1])}. Provenance *modelled*: {NOBODY_TIMED}.",
        f"{escape(headline(found))}.",
        "\n".join(f"- {escape(each)}" for each in _memory(found)),
        markdown_table(frame_of(rows), right=numbers) if rows else "Every kernel is issued as before.",
    ]
    return "\n\n".join(parts) + "\n"


def _plain(found: ComparedSteps, names: tuple[str, str]) -> dict[str, Any]:
    return {
        "kind": "compared steps",
        "files": list(names),
        "gpu": found.gpu,
        "provenance": found.after.provenance.value,
        "moved": found.moved,
        "card_seconds": [found.before.card_seconds, found.after.card_seconds],
        "peaks": {"allocated_bytes": list(found.peaks[0]), "reserved_bytes": list(found.peaks[1])},
        "rows": [
            {"what": row.what, "seconds": row.seconds, **msgspec.to_builtins(row)} for row in found.rows
        ],
    }
