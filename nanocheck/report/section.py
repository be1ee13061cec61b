"""What other suites add to the report of a card: a title, sentences and a table, as plain data."""

from __future__ import annotations

import re

import msgspec

#: A file beside a report: what a link may lead to.
_BESIDE = re.compile(r"[\w.-]+\.md", re.ASCII)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One section.

    Attributes:
        title: its heading.
        paragraphs: what stands before the table: counts, date, provenance.
        columns: names of the table's columns; cells: its rows, as text; may be empty.
        right: columns aligned to the right.
        more: the page with everything, beside the report; empty where there is none.
    """

    title: str
    paragraphs: tuple[str, ...]
    columns: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    right: tuple[str, ...] = ()
    more: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.cells):
            raise ValueError(f"expected {len(self.columns)} cells in each row of {self.title!r}")

    def joined(self, other: Section) -> Section:
        """The same section with the other's rows, too, each once and in the order of their cells."""
        return msgspec.structs.replace(self, cells=tuple(sorted({*self.cells, *other.cells})))

    def render(self) -> list[str]:
        """The section's parts as Markdown."""

        from nanocheck.report.markdown_cells import escape, frame_of, table

        parts = [f"## {escape(self.title)}", *map(escape, self.paragraphs)]
        if self.cells:
            frame = frame_of(self.cells, self.columns)
            parts.append(table(frame, right=self.right))
        if self.more:
            name = escape(self.more)
            parts.append(
                f"Everything: [{name}]({name})." if _BESIDE.fullmatch(self.more) else f"Everything: {name}."
            )
        return parts
