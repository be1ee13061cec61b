"""The frame of both comparisons in words: environments, what stands on one side only, the count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanocheck.core.pairing import Compared, R
from nanocheck.report.blocks import Block, prose, stack, words
from nanocheck.report.markdown_cells import escape, frame_of, table


@dataclass(frozen=True, kw_only=True)
class RenderedComparison:
    """A comparison in words: for a terminal, as a page of Markdown ending in a newline, as data for JSON."""

    moved: bool
    blocks: Sequence[Block]
    markdown: str
    plain: Mapping[str, Any]


def blocks(
    compared: Compared[R], rows: Iterable[tuple[str, str, Sequence[str]]], thing: str, *legend: str
) -> list[Block]:
    """For a terminal: what differs around it, the rows, what stands on one side only, and the count.

    Args:
        rows: verdict, head and indented parts of each configuration that is shown.
        thing: see ``Compared.unmatched``.
        legend: what the rows' figures mean.
    """
    lines = [prose(f"{name}: {old} -> {new}", hanging=2) for name, old, new in compared.differences]
    lines = lines or [prose("the same environment")]
    indent = max(len(verdict) for verdict in compared.verdicts) + 2
    for verdict, head, parts in rows:
        style = "bold yellow" if verdict in compared.moving else ""
        lines.append(prose(words(f"{verdict:{indent}}", style=style), head, hanging=indent))
        lines += [prose(part, indent=indent, hanging=2) for part in parts]
    lines += [prose(each, indent=indent, hanging=2) for each in compared.unmatched(thing)]
    return [stack(*lines), *map(prose, legend), prose(compared.count_summary, style="bold")]


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
        table(frame_of(compared.environments, columns=["", "before", "after"])),
        rows,
        "\n".join(f"- {escape(each)}" for each in compared.unmatched(thing)),
        note,
        "\n".join(f"- **{verdict}**: {meaning}" for verdict, meaning in compared.verdicts.items()),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
