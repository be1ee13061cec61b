"""Parts of tables."""

from __future__ import annotations

from nanocheck.report.html.markup import Markup, tag


def scroll(table: Markup) -> Markup:
    """A table that scrolls by itself where it is wider than the page."""
    return tag("div", table, class_="scroll")


def head_row(*columns: tuple[str, str]) -> Markup:
    """The columns' names, each with its classes."""
    cells = [tag("th", name, scope="col", class_=classes or None) for name, classes in columns]
    return tag("thead", tag("tr", *cells))
