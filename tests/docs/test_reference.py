"""The generated part of the documentation is what the code says now."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import pytest
from documents import DOCS, script
from made_up_verification import measured, observed, of_rows

from nanocheck.cli import VERBS
from nanocheck.report.verified_table import NOBODY


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return script(DOCS / "generate.py")


@pytest.fixture(scope="module")
def pages(generate: ModuleType) -> Mapping[str, str]:
    found: Mapping[str, str] = generate.pages()
    return found


def test_it_is_current(pages: Mapping[str, str]) -> None:
    stale = [name for name, text in pages.items() if (DOCS / name).read_text() != text]
    assert not stale, f"{', '.join(stale)}: run python docs/generate.py, and commit what changes"


def test_nothing_else_lies_there(pages: Mapping[str, str]) -> None:
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "reference").iterdir()}
    assert there == {name for name in pages if name.startswith("reference/")}


def test_every_verb_has_a_section(pages: Mapping[str, str]) -> None:
    for verb in VERBS:
        assert f"\n## nanocheck {verb.__name__.rpartition('.')[2]}\n" in pages["reference/commands.md"]


def test_every_argument_has_a_meaning(pages: Mapping[str, str]) -> None:
    for page in ("reference/commands.md", "reference/pytest.md"):
        rows = [line.split(" | ") for line in pages[page].splitlines() if line.startswith("| `")]
        assert rows
        assert not [row for row in rows if not row[1].strip(" |")]


def test_a_stand_in_is_listed_as_one_and_counts_for_nobody(generate: ModuleType) -> None:
    stand_in = {"a.json": of_rows((observed(), observed()), stand_in=True)}
    assert NOBODY in generate.contributed({})
    page = generate.contributed(stand_in)
    assert NOBODY in page
    assert "stand-in, no real card" in page
    page = generate.contributed({**stand_in, "b.json": of_rows((measured(), observed(reserved_bytes=7)))})
    assert NOBODY not in page
    real, _, other = page.partition("only show what a file looks like")
    assert "`b.json`" in real
    assert "reserved: measured" in real
    assert "`a.json`" in other
    assert "`a.json`" not in real
