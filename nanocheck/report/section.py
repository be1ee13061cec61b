"""What other suites add to the report of a card: a title, sentences and a table, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section.

    Attributes:
        title: its heading.
        paragraphs: what stands before the table: counts, date, provenance.
        rows: the table, column -> cell, every row with the same columns; may be empty.
        right: columns aligned to the right.
        more: the page with everything, beside the report; empty where there is none.
    """

    title: str
    paragraphs: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...] = ()
    right: tuple[str, ...] = ()
    more: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the table as lists, whose order survives sorted keys."""
        columns = list(self.rows[0]) if self.rows else []
        rows = [[row[name] for name in columns] for row in self.rows]
        return {**asdict(self), "columns": columns, "rows": rows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Section:
        """
        Raises:
            KeyError, TypeError, ValueError: the data are no section.
        """
        return cls(
            title=str(data["title"]),
            paragraphs=tuple(map(str, data["paragraphs"])),
            rows=tuple(
                dict(zip(map(str, data["columns"]), map(str, row), strict=True)) for row in data["rows"]
            ),
            right=tuple(map(str, data["right"])),
            more=str(data["more"]),
        )

    def joined(self, other: Section) -> Section:
        """The same section with the other's rows, too, each once and in the order of their cells."""
        rows = {tuple(row.items()): row for row in (*self.rows, *other.rows)}
        return replace(self, rows=tuple(rows[cells] for cells in sorted(rows)))

    def render(self) -> list[str]:
        """The section's parts as Markdown."""
        import pandas as pd  # only once there is something to render: collecting tests must stay quick

        from nanocheck.report.markdown_cells import escape, table

        parts = [f"## {escape(self.title)}", *map(escape, self.paragraphs)]
        if self.rows:
            parts.append(table(pd.DataFrame([dict(row) for row in self.rows]), right=self.right))
        if self.more:
            parts.append(f"Everything: [{escape(self.more)}]({self.more}).")
        return parts
