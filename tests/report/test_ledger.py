"""The ledger as data and as pages: nothing is lost, nothing gets out of its place, damage is noticed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import chromium
import msgspec
import pytest
from notes import CLAIMS

from nanocheck.cli import main
from nanocheck.core.device import Target
from nanocheck.core.errors import StoredDataError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Environment
from nanocheck.core.units import MIB
from nanocheck.report import ledger, ledger_markdown, memory_report
from nanocheck.report.html import ledger_page
from nanocheck.report.ledger import Ledger

NASTY = "<script>alert(1)</script> | `x` * [a](b) \u202e & \x07"
PAGES = [ledger_markdown.render, ledger_page.render]


def made_of(device: Target, **environment: Any) -> Ledger:
    find = functools.cache(find_gpu)
    found = [
        ledger.found(
            claim,
            claim.evaluate({}, find, device),
            f"suites/{claim.place.path.name}",
            Environment(**environment),
        )
        for claim in CLAIMS.values()
    ]
    # As they come: test_nanochat_note.py is collected first.
    return ledger.ledger_of(
        found[9:] + found[:9], device=device.device, command="pytest suites/claims", date="2026-11-22"
    )


@pytest.fixture(scope="module")
def made() -> Ledger:
    """All claims of suites/claims, nothing run."""
    return made_of(Target(kind="virtual", gpu=find_gpu("rtx4070")), torch="2.14.1", cudnn=92400)


def test_the_ledger_in_numbers(made: Ledger) -> None:
    assert made.count_summary == "18 claims: 1 confirmed, 7 refuted, 10 cannot tell"
    assert [each.id for each in made.findings] == list(CLAIMS)
    assert [note.title.partition(":")[0] for note in made.notes] == ["The nanoGPT note", "The nanochat note"]
    assert made.where == "NVIDIA GeForce RTX 4070, Linux"
    crowded = Target(kind="virtual", gpu=find_gpu("rtx4070"), platform="windows", reserve_bytes=2450 * MIB)
    assert made_of(crowded).where == ("NVIDIA GeForce RTX 4070, Windows, 2,450 MiB used by other processes")


def test_what_is_stored_is_read_again(made: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "claims-rtx4070.json"
    path.write_text(ledger.dumps(made))
    assert ledger.load(path) == made
    assert ledger.dumps(made) == ledger.dumps(made)
    assert json.loads(path.read_text())["kind"] == "claims ledger"
    path.write_text('{"schema": 1, "rows": []}')
    assert ledger.load(path) is None


def at(path: str, value: Any) -> Callable[[Any], None]:
    """Puts a value somewhere into the stored data; ``...`` removes what is there."""

    def change(data: Any) -> None:
        *before, last = path.split(".")
        for name in before:
            data = data[int(name) if name.isdigit() else name]
        if value is ...:
            del data[last]
        else:
            data[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (at("schema", 1), "expected a ledger of schema 2, found 1"),
        (at("schema", ...), "expected a ledger of schema 2, found None"),
        (at("notes", 3), "Expected `array`, got `int` - at `$.notes`"),
        (at("notes.0.claims.0.verdict", ...), "missing required field `verdict` - at `$.notes[0].claims[0]`"),
        (at("notes.0.claims.0.extra", 1), "unknown field `extra` - at `$.notes[0].claims[0]`"),
        (at("notes.0.extra", 1), "unknown field `extra` - at `$.notes[0]`"),
        (at("extra", 1), "unknown field `extra`"),
        (at("notes.0.claims.0.figures.0.value", 3), "at `$.notes[0].claims[0].figures[0].value`"),
        (at("device.sms", "46"), "Expected `int`, got `str` - at `$.device.sms`"),
        (at("environment.torch", []), "at `$.environment.torch`"),
    ],
)
def test_damage_is_noticed(
    made: Ledger, tmp_path: Path, change: Callable[[Any], None], expected: str
) -> None:
    data = json.loads(ledger.dumps(made))
    change(data)
    path = tmp_path / "claims-rtx4070.json"
    path.write_text(json.dumps(data))
    with pytest.raises(StoredDataError) as caught:
        ledger.load(path)
    assert expected in caught.value.problem
    assert caught.value.hint == "run the suite again: pytest suites/claims"


def test_a_ledger_of_the_first_schema_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / "claims-rtx4070.json"
    path.write_text('{"schema": 1, "ledgers": []}')
    with pytest.raises(StoredDataError, match="expected a ledger of schema 2, found 1"):
        ledger.load(path)


# --- pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("render", PAGES, ids=["markdown", "html"])
def test_every_verdict_sentence_and_source_stands_in_it(
    made: Ledger, render: Callable[[Ledger], str]
) -> None:
    text = render(made)
    if render is ledger_markdown.render:
        assert (
            "18 claims: 1 confirmed, 7 refuted, 10 cannot tell, checked against NVIDIA GeForce RTX 4070"
            in text
        )
    # Once among all verdicts, once with its figures.
    assert text.count("1.648 GB, not 1.54 GB; 1.54 is its size in GiB") == 2
    for word in (
        "run1000.sh",
        "lzwjava/zz training log",
        "IEEE 754 binary16",
        "1,099,367,920",
        "B9",
        "92400",
    ):
        assert word in text
    for word in (*ledger.LEGEND, *ledger.EVIDENCE, "wrong_token", "2 B", "not longer within claimed"):
        assert word in text
    assert render(made) == text


def spoiled(value: Any) -> Any:
    """The same data with a text in it that wants out of its place."""
    kept = ("verdict", "provenance", "expected", "kind", "id", "date")
    if isinstance(value, dict):
        return {key: each if key in kept else spoiled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [spoiled(each) for each in value]
    return NASTY if isinstance(value, str) else value


@pytest.mark.parametrize("render", PAGES, ids=["markdown", "html"])
def test_no_text_gets_out_of_its_place(made: Ledger, render: Callable[[Ledger], str]) -> None:
    text = render(msgspec.convert(spoiled(json.loads(ledger.dumps(made))), Ledger))
    body = text.partition("## To reproduce")[0]
    assert "<script>" not in body
    assert "\u202e" not in body
    assert "\x07" not in body
    if render is ledger_markdown.render:
        tables = [line for line in body.splitlines() if line.startswith("| ")]
        assert len(tables) > 100
        assert {line.count("|") for line in tables} <= {5, 6}


class Tags(HTMLParser):
    """Fails where tags do not nest, or where something could be fetched or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("style", "src")
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                assert (value or "").startswith("#")
                self.targets.append((value or "")[1:])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(made: Ledger) -> None:
    tags = Tags(ledger_page.render(made))
    assert not tags.seen & {"script", "img", "link", "iframe", "object", "form"}
    assert tags.ids == [f"claim-{name}" for name in CLAIMS]
    assert sorted(tags.targets) == sorted(tags.ids)


def test_a_verdict_that_was_not_expected_is_marked(made: Ledger) -> None:
    assert "Not as expected: refuted." in ledger_page.render(made)
    assert "| cannot tell (not as expected) |" in ledger_markdown.render(made)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    program = chromium.find()
    if program is None:
        pytest.skip(f"no Chromium on this machine; to install it: {chromium.INSTALL}")
    opened = chromium.Chromium(program, tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(
    browser: chromium.Chromium, made: Ledger, tmp_path: Path, width: int, dark: bool
) -> None:
    path = tmp_path / "page.html"
    path.write_text(ledger_page.render(made), encoding="utf-8")
    browser.open(path, width=width, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    # The style is allowed by the policy, and each verdict has its colour.
    colour = "getComputedStyle(document.querySelector('{}')).color"
    moods = [
        browser.evaluate(colour.format(f".stamp.is-{mood}"))
        for mood in ("confirmed", "refuted", "cannot-tell")
    ]
    assert len(set(moods)) == 3
    background = chromium.pixels(browser.screenshot("header")).mean()
    assert (background < 80) if dark else (background > 180)


# --- nanocheck report --------------------------------------------------------------------------------------


@pytest.fixture
def reports(made: Ledger, tmp_path: Path) -> Path:
    (tmp_path / "claims-rtx4070.json").write_text(ledger.dumps(made))
    return tmp_path


def report(folder: Path, *arguments: str) -> int:
    return main(["report", *arguments, "--reports", str(folder)])


def test_a_stored_ledger_is_written_again(
    made: Ledger, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(reports) == 0
    assert (reports / "claims-rtx4070.md").read_text() == ledger_markdown.render(made)
    assert not (reports / "claims-rtx4070.html").exists()
    assert report(reports, "--html") == 0
    assert (reports / "claims-rtx4070.html").read_text() == ledger_page.render(made)
    assert capsys.readouterr().out.splitlines() == [
        f"{reports}/claims-rtx4070.md: written",
        f"{reports}/claims-rtx4070.html: written",
    ]
    assert report(reports, "--html", "--stdout", "claims-rtx4070") == 0
    assert capsys.readouterr().out == ledger_page.render(made)


def test_a_damaged_ledger_is_not_rendered(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = reports / "claims-rtx4070.json"
    stored.write_text(stored.read_text()[:-100])
    assert report(reports) == 4
    assert report(reports, "--html") == 4
    assert "hint: run the suite again: pytest suites/claims" in capsys.readouterr().err
    assert [path.name for path in reports.iterdir()] == ["claims-rtx4070.json"]


def test_only_a_ledger_has_an_html_page(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_report, "render", lambda _: pytest.fail("rendered"))
    (reports / "rtx4070.json").write_text('{"schema": 1}')
    assert report(reports, "--html") == 0  # nobody named the other one
    assert report(reports, "--html", "rtx4070") == 2
    assert "--html: expected a claims ledger, found a memory report" in capsys.readouterr().err
    (reports / "claims-rtx4070.json").unlink()
    assert report(reports, "--html") == 2
