"""Every text of a stored file replaced by one that means harm: its pages hold no more than before."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hostile_files import _judged, _small_report
from made_up_exports import changed, compared, several_cards, side, small_table
from markdown_it import MarkdownIt
from paths import ROOT

from nanocheck.core.errors import NanocheckError
from nanocheck.core.run_diff import RunDiffs
from nanocheck.core.table import Table
from nanocheck.core.verdict import Kind
from nanocheck.report import (
    ci_summary,
    diff,
    diff_text,
    html,
    ledger,
    ledger_markdown,
    memory_report,
    run_diff_text,
    run_file,
    run_markdown,
    table_markdown,
)
from nanocheck.report.html import cards_page, ledger_page
from nanocheck.report.ledger import Ledger
from nanocheck.report.report_file import Report
from nanocheck.report.section import Section
from nanocheck.search.every_card import EveryCard

HARM = (
    "x<script>alert(1)</script>",
    "x\n\n# heading\n\n| a | b |\n|---|---|\n",
    "x[y](javascript:alert(1))![i](http://evil.example/x.png)",
    "x` | `<img src=x onerror=y>",
    "x' onmouseover='y\" onfocus=\"z",
    "x](javascript:y) <b>",
    "x</style></script><!-- ",
    "x\r\n<details>\u2028<p>",
    "javascript:alert('x')",
    "x\\|\\`\\<b>",
)
_READER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
_WHOLE = ledger.load(ROOT / "reports" / "claims-rtx4070.json")
assert _WHOLE is not None
_NOTES = tuple(msgspec.structs.replace(note, claims=note.claims[:2]) for note in _WHOLE.notes)
_LEDGER = msgspec.structs.replace(_WHOLE, notes=_NOTES)
_SECTION = Section(title="t", paragraphs=("p", "q"), columns=("a",), cells=(("1",),), more="m.md")
_REPORT = msgspec.structs.replace(_small_report(), sections=(_SECTION,))
_DIFFS = RunDiffs(
    before="a",
    after="b",
    diffs=(compared(side(1 << 30), side(2 << 30), changed("train.py:3", "x = y", 0, 1 << 30)),),
    worse=True,
    moved=True,
)


def replaced(value: Any, text: str) -> tuple[Any, int]:
    """The value with each of its texts replaced where its type allows that, and how many were."""
    kind, plain, count = type(value), json.loads(msgspec.json.encode(value)), 0

    def replace(node: Any) -> None:
        nonlocal count
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            old = node[key]
            if isinstance(old, dict | list):
                replace(old)
            elif isinstance(old, str):
                node[key] = text
                try:
                    msgspec.convert(plain, kind)
                    count += 1
                except (ValueError, NanocheckError):  # an enumeration, or an id that follows from others
                    node[key] = old

    replace(plain)
    return msgspec.convert(plain, kind), count


def in_markdown(text: str) -> set[str]:
    """Kinds of elements, and whatever leads out of the page or is HTML."""
    found = set()

    def walk(tokens: list[Any]) -> None:
        for token in tokens:
            found.add(f"{token.type} {token.tag}")
            if token.type.startswith("html"):
                found.add(token.content)
            found.update(str(token.attrs[name]) for name in ("href", "src") if name in token.attrs)
            walk(token.children or [])

    walk(_READER.parse(text))
    return found


def in_html(text: str) -> set[str]:
    """Tags with their attributes' names, and whatever leads out of the page."""
    found = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.add(tag)
            found.update(f"{tag} {name}" for name, _ in attrs)
            targets = [f"{value}" for name, value in attrs if name in ("href", "src", "action")]
            found.update(each for each in targets if not each.startswith("#"))  # leads nowhere else

        def handle_comment(self, data: str) -> None:
            found.add("a comment")

    Reader().feed(text)
    return found


@pytest.mark.parametrize(
    ("value", "render", "inside"),
    [
        pytest.param(_REPORT, memory_report.render, in_markdown, id="report"),
        pytest.param(_REPORT, lambda found: ci_summary.job_summary(found, ""), in_markdown, id="job summary"),
        pytest.param(
            _REPORT,
            lambda found: diff_text.render(diff.compare(_REPORT, found), ("a", "b")).markdown,
            in_markdown,
            id="compared reports",
        ),
        pytest.param(
            _DIFFS, lambda found: run_diff_text.render(found).markdown, in_markdown, id="compared runs"
        ),
        pytest.param(small_table(Kind.SAFE, Kind.OOM), table_markdown.render, in_markdown, id="table"),
        pytest.param(_LEDGER, ledger_markdown.render, in_markdown, id="ledger"),
        pytest.param(_LEDGER, ledger_page.render, in_html, id="ledger's page"),
        pytest.param(run_file.RunFile.with_suggestions(_judged()), html.render, in_html, id="run's page"),
        pytest.param(_judged(), run_markdown.render, in_markdown, id="run's Markdown"),
        pytest.param(several_cards(Kind.SAFE, Kind.OOM), cards_page.render, in_html, id="cards' page"),
    ],
)
def test_no_text_is_more_than_text(
    value: Report | RunDiffs | Ledger | EveryCard | Table | run_file.RunFile,
    render: Callable[[Any], str],
    inside: Callable[[str], set[str]],
) -> None:
    clean = inside(render(value))
    for text in HARM:
        harmed, count = replaced(value, text)
        assert count > 5
        page = render(harmed)
        assert inside(page) - clean == set(), text
