"""Tables for a terminal of any width: columns of words wrap, a number is never cut.

Where even that is too wide the columns go on in a second table under the first, as pandas does it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from nanocheck.report.blocks import NARROWEST, Words, plain

#: Spaces between two columns.
_GAP = 2
#: A column of words is not made narrower than the longest piece of a word, but for pieces longer than this.
_LONGEST_PIECE = 30
#: Where a word, such as code, may be broken: a name or a number, and the sign behind it. The space behind a
#: word needs no room.
_PIECE = re.compile(r"[\w.]+[^\w\s]?|\W")


def table(
    rows: Sequence[Mapping[str, Words]],
    *,
    left: Collection[str] = (),
    whole: Collection[str] = (),
    header: bool = True,
) -> Table:
    """A table of the rows, which all have the keys of the first; nothing at all where there is no row.

    Args:
        left: columns of words: aligned to the left, and wrapped where the terminal is narrow.
        whole: columns aligned to the left that are not wrapped. All others hold numbers, whole and to the
            right.
        header: whether the names of the columns stand above them.
    """
    columns = [
        Column(
            name=plain(name) if header else "",
            cells=tuple(_cell(row[name]) for row in rows),
            right=name not in left and name not in whole,
            wraps=name in left,
        )
        for name in (rows[0] if rows else ())
    ]
    return Table(columns=tuple(columns), header=header)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; ``wraps``: its cells may take several lines."""

    name: str
    cells: tuple[Text, ...]
    right: bool
    wraps: bool

    @property
    def natural(self) -> int:
        """Terminal columns it takes where there is room."""
        return max([cell_len(self.name), *(cell.cell_len for cell in self.cells)])

    @property
    def least(self) -> int:
        """Terminal columns it cannot do without. A name may be broken at spaces and after each ``+``."""
        name = max(map(cell_len, _broken(self.name).split()), default=0)
        if not self.wraps:
            return max([name, *(cell.cell_len for cell in self.cells)])
        pieces = [cell_len(piece) for cell in self.cells for piece in _PIECE.findall(cell.plain)]
        return max(name, min(_LONGEST_PIECE, max(pieces, default=0)))


@dataclass(frozen=True, kw_only=True)
class Table:
    """See ``table``."""

    columns: tuple[Column, ...]
    header: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(NARROWEST, options.max_width)
        for number, part in enumerate(_parts(self.columns, room)):
            widths = _widths(part, room)
            if number:
                yield Text()
            # The one column that is wider than the terminal is shown whole.
            yield from console.render(
                _drawn(part, widths, header=self.header), options.update(width=max(room, _total(widths)))
            )


def _cell(value: Words) -> Text:
    return value if isinstance(value, Text) else Text(plain(value))


def _broken(name: str) -> str:
    return name.replace("+", "+\n")


def _filled(cell: Text, width: int) -> Text:
    """The cell with line ends inside of the words that are too long, but not inside of a number."""

    def broken(word: re.Match[str]) -> str:
        lines = [""]
        for piece in _PIECE.findall(word[0]):
            if lines[-1] and len(lines[-1]) + len(piece) > width:
                lines.append("")
            lines[-1] += piece
        return "\n".join(lines)

    return Text(re.sub(rf"\S{{{width + 1},}}", broken, cell.plain), style=cell.style)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _parts(columns: Sequence[Column], room: int) -> Iterator[list[Column]]:
    """The columns of each table: all, or as many as fit beside the first, which says what a row is about."""
    part: list[Column] = []
    for column in columns:
        if len(part) > 1 and _total([each.least for each in [*part, column]]) > room:
            yield part
            part = [columns[0]]
        part.append(column)
    if part:
        yield part


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    """As wide as they need to be, or with the room taken from whichever is widest."""
    widths, least = [each.natural for each in columns], [each.least for each in columns]
    while _total(widths) > room:
        spare = [index for index, width in enumerate(widths) if width > least[index]]
        if not spare:
            break
        widths[max(spare, key=lambda index: widths[index])] -= 1
    return widths


def _drawn(columns: Sequence[Column], widths: Sequence[int], *, header: bool) -> RichTable:
    drawn = RichTable(
        box=None, show_header=header, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0)
    )
    for column, width in zip(columns, widths, strict=True):
        name = column.name if width >= cell_len(column.name) else _broken(column.name)
        drawn.add_column(
            Text(name),
            justify="right" if column.right else "left",
            width=width,
            no_wrap=False,
            overflow="fold",
        )
    if header:
        # Dashes, since not every log can show the lines of a box.
        drawn.add_row(*(Text("-" * width, style="dim") for width in widths))
    filled = [
        [_filled(cell, width) if column.wraps else cell for cell in column.cells]
        for column, width in zip(columns, widths, strict=True)
    ]
    for cells in zip(*filled, strict=True):
        drawn.add_row(*cells)
    return drawn
