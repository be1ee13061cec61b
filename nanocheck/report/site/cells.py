"""A cell as the pages show it: a row of words, made once and shown in several places."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.table import Cell, CellTime, How, Setting, TableCard
from nanocheck.core.units import GIB
from nanocheck.core.verdict import Kind
from nanocheck.report.html.format import NONE
from nanocheck.report.site import words
from nanocheck.report.site.contents import Contents
from nanocheck.report.time_text import ms

#: The best first; what says nothing about memory comes last.
ORDER = (Kind.SAFE, Kind.TIGHT, Kind.PARTIAL, Kind.LOST_WORK, Kind.OOM)
#: Column of the large table -> what it is called; also the keys by which the browser filters and sorts.
COLUMNS = {
    "card": "card",
    "verdict": "verdict",
    "model": "model",
    "batch": "batch",
    "tokens": "tokens",
    "accumulation": "accumulation",
    "precision": "precision",
    "compile": "compile",
    "optimizer": "optimizer",
    "checkpointing": "checkpointing",
    "also": "also",
    "attention": "attention",
    "headroom": "headroom, GiB",
    "allocated": "allocated, GiB",
    "reserved": "reserved, GiB",
    "process": "process, GiB",
    "ms": "ms a step, modelled",
    "largest": "largest safe batch, searched",
    "known": "known by",
}
NUMBERS = ("batch", "tokens", "accumulation", "headroom", "allocated", "reserved", "process", "ms", "largest")
#: By these the reader chooses among the values that are there.
CHOICES = (
    "model",
    "card",
    "precision",
    "optimizer",
    "checkpointing",
    "compile",
    "also",
    "tokens",
    "verdict",
    "known",
)


@dataclass(frozen=True)
class Row:
    """One cell; ``values`` in the order of ``COLUMNS``, the card's name left out."""

    card: str
    address: str
    kind: str
    setting: int
    instead: str
    values: tuple[str, ...]


def row(contents: Contents, cell: Cell) -> Row:
    setting = contents.settings[cell.setting]
    config = setting.config
    known = [contents.numbers[each] for each in cell.instead if each in contents.numbers]
    sizes = (cell.allocated_bytes, cell.reserved_bytes, process_bytes(contents, cell))
    return Row(
        card=contents.card_names[cell.gpu],
        address=address(contents, cell.setting, cell.gpu),
        kind=cell.verdict.kind.value,
        setting=contents.numbers[cell.setting],
        instead=" ".join(map(str, known)),
        values=(
            verdict(cell.verdict.kind),
            contents.model_of[cell.setting].name,
            f"{config.batch:,}",
            f"{config.block_size:,}",
            str(config.accumulation),
            *way_columns(setting),
            cell.attention,
            gib(cell.verdict.headroom_bytes),
            *(gib(each if cell.verdict.is_answer else None) for each in sizes),
            NONE if cell.time is None else ms(cell.time.seconds),
            contents.searched.get((setting.way, cell.gpu), NONE),
            known_by(cell),
        ),
    )


def way_columns(setting: Setting) -> tuple[str, ...]:
    """Precision to ``also``, as the columns have them."""
    config = setting.config
    return (
        words.precision(config),
        words.compiled(config),
        words.optimizer(config),
        words.checkpointing(config),
        words.also(config) or NONE,
    )


def address(contents: Contents, setting: str, gpu: str) -> str:
    """Of everything that is known about a cell."""
    return f"cards/{contents.card_slugs[gpu]}.html#{contents.anchors[setting]}"


def verdict(kind: Kind) -> str:
    """The sign and the word."""
    return f"{words.sign(kind)} {kind.value}"


def process_bytes(contents: Contents, cell: Cell) -> int:
    """As ``nvidia-smi`` would show it; of a cell that does not fit, what it would take if there were room."""
    if cell.verdict.fits:
        return cell.verdict.process_bytes
    return max(cell.verdict.process_bytes, cell.reserved_bytes + contents.cards[cell.gpu].context_bytes)


def is_computed(card: TableCard) -> bool:
    """Whether nobody published how much of the card's memory is usable."""
    return card.usable_source.startswith("computed")


def known_by(cell: Cell) -> str:
    """``run``: on this card; ``derived``: from a run on another card that asks for the same bytes."""
    return "run" if cell.how is How.RUN else "derived"


def gib(size_bytes: int | None) -> str:
    return NONE if size_bytes is None else f"{size_bytes / GIB:,.2f}"


def interval(time: CellTime | None) -> str:
    """``812.1 to 1,003.4``; a dash where nobody knows."""
    if time is None or time.low is None or time.high is None:
        return NONE
    return f"{ms(time.low)} to {ms(time.high)}"
