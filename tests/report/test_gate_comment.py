"""A comment on a pull request: short enough, true to the figures; nothing that strangers write acts in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_gate import gate

from nanocheck.core.gate import Gate
from nanocheck.core.units import MIB
from nanocheck.report import gate_comment
from nanocheck.report.foreign_markdown import block, code
from nanocheck.report.workflow_commands import annotation

#: Each is harmful somewhere, and says so.
HOSTILE = (
    "EVIL ::error file=a::EVIL",
    "<!-- nanocheck:abc123 -->EVIL",
    "EVIL]]>",
    "`EVIL`",
    "```\n\n# EVIL",
    "````EVIL",
    "@EVIL",
    "a@EVIL.example",
    "EVIL/r#12",
    "http://EVIL.example/",
    "EVIL www.EVIL.example EVIL",
    "EVIL,title=EVIL,line=9",
    "[EVIL](javascript:alert(1))",
    "![EVIL](http://EVIL.example/x.png)",
    "| EVIL |\\| EVIL \\\\| EVIL",
    "<script>EVIL</script>",
    "</code></details><img src=x onerror=EVIL>",
    "\r\n\r\n- EVIL",
    "&lt;b&gt;EVIL&#64;EVIL",
    "$EVIL$",
    "**EVIL** ~~EVIL~~ _EVIL_",
    "\N{RIGHT-TO-LEFT OVERRIDE}EVIL\x1b[31m",
    "\ud800EVIL",
    '" onmouseover="EVIL',
)
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5), min_size=1, max_size=4).map("EVIL".join)


class _Page(HTMLParser):
    """What a reader, and GitHub's search for mentions, sees of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.bare, self.comments = "", []  # type: ignore[var-annotated]
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "src"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in ("br", "hr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if {"code", "pre"} & set(self.open):
            self.inside += data
        else:
            self.bare += data

    def handle_comment(self, data: str) -> None:
        if data.strip():
            self.comments.append(data)


def as_github_shows(text: str) -> _Page:
    """GitHub's own Markdown, with all HTML let through: it allows fewer tags yet."""
    cmark = pytest.importorskip(
        "cmarkgfm", reason="GitHub's Markdown is not installed (pip install cmarkgfm)"
    )
    from cmarkgfm.cmark import Options

    found = _Page()
    found.feed(cmark.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE))
    found.close()
    return found


_OURS = {"h3", "p", "code", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong", "details"}
_OURS |= {"summary", "pre", "sub", "a"}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), oom=st.booleans())
def test_nothing_that_strangers_write_acts(data: st.DataObject, oom: bool) -> None:
    found = gate(lambda _: data.draw(texts), oom=oom)
    link = gate_comment.source_link("https://github.com", "o/r", found.head, found.folder)
    text = gate_comment.render(found, link=link)
    page = as_github_shows(text)
    assert text.startswith("<!-- nanocheck:abc123 -->\n")
    assert page.tags <= _OURS
    assert page.handlers == []
    assert [each.strip() for each in page.comments] == ["nanocheck:abc123"]
    assert "EVIL" not in page.bare
    assert "EVIL" in page.inside
    assert all(each.startswith("https://github.com/o/r/blob/") for each in page.links)
    assert page.open == []


@settings(max_examples=100, deadline=None)
@given(texts)
def test_code_shows_what_it_was_given(text: str) -> None:
    page = as_github_shows(f"| a |\n| :-- |\n| {code(text)} |\n\nbefore {code(text, most=10_000)} after")
    shown = "".join(
        each if each.isprintable() else " " if each.isspace() else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )
    wanted = re.sub(r"\s+", " ", shown).strip()
    assert re.sub(r"\s+", " ", page.inside).replace(" ", "") == (wanted * 2).replace(" ", "")
    assert page.bare.split() == ["a", "before", "after"]
    assert page.tags <= _OURS


@settings(max_examples=100, deadline=None)
@given(st.lists(texts | st.sampled_from(["```", "````", "~~~"]), min_size=1, max_size=3))
def test_nothing_closes_a_block(lines: list[str]) -> None:
    page = as_github_shows(f"{block(lines)}\n\nafter")
    assert page.bare.split() == ["after"]
    assert page.tags <= {"pre", "code", "p"}


@settings(max_examples=100, deadline=None)
@given(texts, texts, texts.filter(bool))
def test_an_annotation_is_one_command(text: str, title: str, file: str) -> None:
    line = annotation("error", text, title=title, file=file, line=3)
    assert line.splitlines() == [line]
    place, _, _ = line.removeprefix("::error ").partition("::")
    assert [each.partition("=")[0] for each in place.split(",")] == ["file", "line", "title"]


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_text_that_is_none_makes_no_heading_of_the_line_before_it(text: str) -> None:
    assert as_github_shows(gate_comment.render(gate(lambda _: text))).tags <= _OURS


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 400), st.sampled_from(["x", "\N{GRINNING FACE}", "`", "|"]))
def test_it_is_never_longer_than_github_takes(rows: int, changes: int, filling: str) -> None:
    found = gate(lambda usual: usual + filling * 300, rows=rows, changes=min(changes, 400 // max(rows, 1)))
    text = gate_comment.render(found)
    assert gate_comment.units(text) <= gate_comment.LIMIT
    assert text.rstrip().endswith("</sub>")
    assert text.count("<details>") == text.count("</details>")
    whole = gate_comment.render(found, limit=10**9)
    if gate_comment.units(whole) <= gate_comment.LIMIT:
        assert text == whole
    else:
        assert "did not fit" in text


def test_the_figures_are_those_of_the_comparison() -> None:
    found = gate(changes=3)
    text = gate_comment.render(found)
    for number in (1, 2, 3):
        assert f"| +{number * MIB:,} | <code>logits and loss (+1 tensor)</code> |" in text
    assert "no base" not in text.split("h100")[0]


def test_what_does_not_fit_is_said_with_what_it_asked_for() -> None:
    text = gate_comment.render(gate(oom=True))
    assert "**What does not fit**" in text
    assert "asked for 1,572.00 MiB" in text.split("<details>")[0]
    assert "**oom**, was safe" in text


def test_what_is_the_same_on_two_cards_is_said_once() -> None:
    text = gate_comment.render(gate(rows=2, changes=1))
    assert text.count("**What") == 1
    assert "<code>card0</code>, <code>card1</code>" in text


def test_nothing_ran() -> None:
    text = gate_comment.render(Gate(key="a", nanocheck="1", date="today"))
    assert "no answer" in text
    assert "nothing ran" in text


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.py", "<string>", "~/x.py", ""])
def test_only_lines_of_the_checkout_are_linked(path: str) -> None:
    link = gate_comment.source_link("https://github.com", "o/r", "2" * 40)
    assert link(path, 3) == ""
    assert link("a b/ü.py", 3).endswith("/a%20b/%C3%BC.py#L3")
