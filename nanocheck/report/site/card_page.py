"""The page of one card: what is known of it, how much memory is there, and what every setting does on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nanocheck.core.gpus import Gpu
from nanocheck.core.table import Cell, Setting, TableCard
from nanocheck.core.units import mib_span
from nanocheck.core.verdict import Kind
from nanocheck.report import caveats
from nanocheck.report.html.format import NONE, plural
from nanocheck.report.site import bars, cells
from nanocheck.report.site.contents import Contents, Model, Way
from nanocheck.report.site.layout import Frame, render


@dataclass(frozen=True)
class Line:
    """One setting on the card; no cell: it was not reached. ``instead``: settings that are safe here."""

    setting: Setting
    anchor: str
    cell: Cell | None
    bar: bars.Bar | None
    instead: tuple[Setting, ...]


@dataclass(frozen=True)
class Reach:
    """How far a way goes on the card: batches by verdict, and the step at the largest safe one.

    Attributes:
        largest: of the table's batches. cell: at that batch.
        searched: what a search found instead, in a word; empty where the way was not searched.
        headroom_bytes: at the largest safe batch.
    """

    model: Model
    way: Way
    largest: int | None
    batches: tuple[tuple[int, Cell], ...]
    cell: Cell | None
    searched: str = ""
    headroom_bytes: int | None = None


def page(frame: Frame, card: TableCard, gpu: Gpu | None) -> str:
    """
    Args:
        gpu: what the catalog says of the card; None where it does not know it.
    """
    contents = frame.contents
    groups = [
        (model, way, [_line(contents, card, setting) for setting in way.settings])
        for model in contents.models
        for way in model.ways
    ]
    reaches = [reach(contents, model, way, card.gpu) for model in contents.models for way in model.ways]
    found = [contents.cell(each, card.gpu) for each in contents.settings]
    safe = sum(each is not None and each.verdict.kind is Kind.SAFE for each in found)
    return render(
        "site/card.html",
        frame=frame,
        depth=1,
        title=f"{contents.card_names[card.gpu]}: which GPT trainings fit",
        card=card,
        name=contents.card_names[card.gpu],
        summary=f"{safe:,} of {plural(len(found), 'setting')} safe",
        usable=mib_span(card.usable_bytes, card.usable_most_bytes),
        context=mib_span(card.context_bytes, card.context_most_bytes),
        figures=_figures(gpu),
        reaches=reaches,
        groups=groups,
        cells=cells,
        describe=caveats.describe,
        has_times=any(each is not None and each.time is not None for each in found),
    )


def reach(contents: Contents, model: Model, way: Way, gpu: str) -> Reach:
    """How far a way goes on a card, as far as the table knows."""
    largest = contents.largest_safe.get((way.id, gpu))
    batches = []
    for setting in way.settings:
        cell = contents.cell(setting.id, gpu)
        if cell is not None:
            batches.append((setting.config.batch, cell))
    at = next((cell for batch, cell in batches if batch == largest), None)
    found = contents.largest.get((way.id, gpu))
    if found is not None:
        at = next((cell for batch, cell in batches if batch == found.batch), None)
    headroom = None if at is None else at.verdict.headroom_bytes
    if found is not None and found.safe is not None:
        headroom = found.safe.headroom_bytes
    return Reach(
        model=model,
        way=way,
        largest=largest,
        batches=tuple(batches),
        cell=at,
        searched=contents.searched.get((way.id, gpu), ""),
        headroom_bytes=headroom,
    )


def _line(contents: Contents, card: TableCard, setting: Setting) -> Line:
    cell = contents.cell(setting.id, card.gpu)
    bar = None
    if cell is not None and cell.verdict.is_answer:
        bar = bars.bar(card, allocated_bytes=cell.allocated_bytes, reserved_bytes=cell.reserved_bytes)
    instead = () if cell is None else cell.instead
    return Line(
        setting=setting,
        anchor=contents.anchors[setting.id],
        cell=cell,
        bar=bar,
        instead=tuple(contents.settings[each] for each in instead if each in contents.settings),
    )


def _figures(gpu: Gpu | None) -> list[tuple[str, str, str]]:
    """Figure, value and source of what the catalog has beside memory."""
    if gpu is None:
        return []
    tensor = NONE if gpu.bf16_tflops is None else f"{gpu.bf16_tflops:g} TFLOPS"
    rows: Mapping[str, tuple[str, str]] = {
        "sms": ("multiprocessors", f"{gpu.sms}"),
        "l2_mib": ("L2 cache", f"{gpu.l2_bytes / 2**20:g} MiB"),
        "bandwidth_gb_s": ("memory bandwidth", f"{gpu.bandwidth_gb_s:g} GB/s"),
        "bus_width_bits": ("memory bus", f"{gpu.bus_width_bits} bits"),
        "boost_mhz": ("boost clock", f"{gpu.boost_mhz:,} MHz"),
        "bf16_tflops": ("bf16, dense, accumulated in fp32", tensor),
        "tgp_w": ("board power", f"{gpu.tgp_w} W"),
        "nominal_mib": ("nominal memory", f"{gpu.nominal_bytes / 2**20:,.0f} MiB"),
    }
    return [(words, value, gpu.sources.get(key, NONE)) for key, (words, value) in rows.items()]
