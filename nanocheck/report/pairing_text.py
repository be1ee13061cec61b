"""The frame of both comparisons in words: environments, what stands on one side only, the count."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd

from nanocheck.core.pairing import Compared, R
from nanocheck.report.markdown_cells import escape, table


def text(
    compared: Compared[R], blocks: Iterable[tuple[str, str, Sequence[str]]], thing: str, width: int
) -> list[str]:
    """Lines for a terminal: what differs around it, the blocks, and what stands on one side only.

    Args:
        blocks: verdict, head and indented parts of each configuration that is shown.
        thing: see ``Compared.unmatched``.
    """
    lines = [f"{name}: {old} -> {new}" for name, old, new in compared.differences]
    lines = lines or ["the same environment"]
    wide = max(len(verdict) for verdict in compared.verdicts)
    indent = " " * (wide + 2)
    for verdict, head, parts in blocks:
        lines.append(f"{verdict:{wide}}  {head}")
        for part in parts:
            lines.append(textwrap.fill(part, width, initial_indent=indent, subsequent_indent=indent + "  "))
    return lines + [indent + each for each in compared.unmatched(thing)]


def page(compared: Compared[R], *, title: str, about: str, rows: str, thing: str, note: str = "") -> str:
    """A page of Markdown, ending in a newline.

    Args:
        about: what stands under the title, after the count.
        rows: the table of configurations; empty where there is nothing to show.
        note: what stands before the meaning of the verdicts.
    """
    parts = [
        f"# {title}",
        f"{compared.count_summary}. {about}",
        table(pd.DataFrame(compared.environments, columns=["", "before", "after"])),
        rows,
        "\n".join(f"- {escape(each)}" for each in compared.unmatched(thing)),
        note,
        "\n".join(f"- **{verdict}**: {meaning}" for verdict, meaning in compared.verdicts.items()),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
