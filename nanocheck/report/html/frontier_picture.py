"""The frontier as a picture: batch down, method across, colour how full the card is, a line at its limit.

``templates/frontier_picture.html`` draws it. Everything is in px: the picture is not stretched, so that its
words stay readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from nanocheck.core.units import GIB
from nanocheck.core.verdict import Kind
from nanocheck.report.advice_data import FrontierCell, Run

#: Four methods fit a phone's 390.
LEFT, WIDE, HIGH, LINE = 42, 77, 24, 13
#: Letters that a column is wide.
_LETTERS = 12
#: How many shades there are between an empty and a full card.
SHADES = 8


@dataclass(frozen=True, kw_only=True)
class Words:
    """A line of type; ``y`` is its baseline."""

    x: float
    y: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One batch of one method; ``css``: classes of its colour, ``title`` what the pointer shows."""

    x: int
    y: int
    css: str
    words: str
    words_css: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class FrontierPicture:
    """One model's picture.

    Attributes:
        batches, names: the labels of rows and columns. methods: how many columns there are.
        limit: path of a stair between the largest that fits and what does not; open where nothing was
            refused, empty where nothing was refused at all.
        fullest_css: classes of a tile of a full card.
    """

    width: int
    height: int
    batches: list[Words]
    names: list[Words]
    tiles: list[Tile]
    limit: str
    methods: int
    tile_width: int = WIDE
    tile_height: int = HIGH
    fullest_css: str = f"shade s{SHADES - 1}"


def of(cells: Sequence[FrontierCell], names: Sequence[str], available_bytes: int) -> FrontierPicture:
    """The picture of one model.

    Args:
        cells: one per method, in the order of ``names``.
        available_bytes: what PyTorch may reserve on the card; a full tile.
    """
    batches = sorted({run.batch for cell in cells for run in cell.runs})
    lines = [[line for word in name.split("+") for line in wrap(word, _LETTERS)] for name in names]
    top = 8 + LINE * max(map(len, lines))
    tiles = []
    for column, cell in enumerate(cells):
        runs = {run.batch: run for run in cell.runs}
        for at, batch in enumerate(batches):
            x, y = LEFT + WIDE * column, top + HIGH * at
            run = runs.get(batch)
            if run is None:
                tiles.append(
                    Tile(x=x, y=y, css="blank", words="\N{MIDDLE DOT}" if batch < cell.largest else "")
                )
            else:
                tiles.append(_tile(x, y, run, available_bytes))
    return FrontierPicture(
        width=LEFT + WIDE * len(names) + 2,
        height=top + HIGH * len(batches) + 6,
        batches=[
            Words(x=LEFT - 8, y=top + HIGH * at + 16, words=f"{batch:,}") for at, batch in enumerate(batches)
        ],
        names=_names(lines, top),
        tiles=tiles,
        limit=_limit(cells, batches, top),
        methods=len(names),
    )


def style() -> str:
    """The rules of the shades."""
    opacities = [0.06 + 0.5 * shade / (SHADES - 1) for shade in range(SHADES)]
    return "".join(f".s{shade} {{ fill-opacity: {each:.2f}; }}\n" for shade, each in enumerate(opacities))


def _names(lines: Sequence[Sequence[str]], top: int) -> list[Words]:
    """The methods' names, their last lines just above the tiles."""
    return [
        Words(x=LEFT + WIDE * (column + 0.5), y=top - 5 - LINE * (len(own) - 1 - at), words=line)
        for column, own in enumerate(lines)
        for at, line in enumerate(own)
    ]


def _tile(x: int, y: int, run: Run, available_bytes: int) -> Tile:
    title = f"batch {run.batch}: {run.verdict} ({run.provenance})"
    if not run.verdict.fits:
        words = "\N{MULTIPLICATION SIGN}" if run.verdict.kind is Kind.OOM else "?"
        return Tile(x=x, y=y, css="oom", words=words, words_css="oom-word", title=title)
    shade = min(SHADES - 1, max(0, int(run.reserved_bytes / available_bytes * SHADES)))
    css = "tight" if run.verdict.kind is Kind.TIGHT else f"shade s{shade}"
    return Tile(x=x, y=y, css=css, words=f"{run.reserved_bytes / GIB:.2f}", title=title)


def _limit(cells: Sequence[FrontierCell], batches: Sequence[int], top: int) -> str:
    path, drawing = [], False
    for column, cell in enumerate(cells):
        if not cell.known or cell.refused is None:
            drawing = False
            continue
        y = top + HIGH * batches.index(cell.refused.batch)
        path.append(f"{'L' if drawing else 'M'}{LEFT + WIDE * column} {y}")
        path.append(f"L{LEFT + WIDE * (column + 1)} {y}")
        drawing = True
    return " ".join(path)
