"""The site in a real browser: filter, sort, form, themes, keys, and a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import made_up_tables
import pytest
from msgspec.structs import replace
from site_driving import ask, choose, key, shown

from nanocheck.core.table import Table
from nanocheck.core.verdict import Kind
from nanocheck.report.site import cells, pages, theme
from nanocheck.report.site.contents import Contents

pytestmark = pytest.mark.skipif(
    chromium.find() is None, reason=f"no Chromium on this machine; to install it: {chromium.INSTALL}"
)

#: A name and a command as long as a line, without a place to break them.
CARDS = made_up_tables.some_cards()
#: A card in words, which no catalog has.
WORDS = "--card 'name=My card, memory=24GiB'"
CARDS = [*CARDS[:-1], replace(CARDS[-1], name="NVIDIA " + "H" * 70, usable_source="s" * 300)]
TABLE = made_up_tables.table(made_up_tables.some_settings(), CARDS)
TABLE = replace(
    TABLE,
    cells=tuple(
        replace(each, command=f"nanocheck {'x' * 200}")
        if each.gpu == "h100"
        else replace(each, command=each.command.replace("--gpu rtx3090", WORDS))
        for each in TABLE.cells
    ),
)
CONTENTS = Contents(TABLE)
CARD = "GeForce RTX 4070"
PHONE, DESK = 360, 1280


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write(folder, TABLE)
    return folder


def write(folder: Path, table: Table) -> None:
    for name, text in pages.files(table).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    program = chromium.find()
    assert program is not None
    opened = chromium.Chromium(program, tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()


@pytest.fixture
def index(browser: chromium.Chromium, site: Path) -> chromium.Chromium:
    browser.open(site / "index.html", width=DESK, dark=False)
    return browser


# --- filter and sort ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("card", CARD),
        ("model", "GPT-2 124M"),
        ("precision", "fp32"),
        ("compile", "compiled"),
        ("optimizer", "AdamW 8-bit"),
        ("checkpointing", "blocks"),
        ("verdict", "≈ tight"),
        ("known", "run"),
    ],
)
def test_a_filter_leaves_the_cells_that_have_the_value(
    index: chromium.Chromium, column: str, value: str
) -> None:
    before = shown(index, column)
    choose(index, "filters", **{column: value})
    assert 0 < before.count(value) < len(before)
    assert shown(index, column) == [value] * before.count(value)
    count = index.evaluate("document.getElementById('count').textContent")
    assert count == f"{before.count(value)} of {len(TABLE.cells)} cells"


def test_filters_hold_together_and_are_taken_back_together(index: chromium.Chromium) -> None:
    choose(index, "filters", card=CARD, verdict="✓ safe", most="7.5")
    expected = [
        each
        for each in TABLE.cells
        if each.gpu == "rtx4070"
        and each.verdict.kind is Kind.SAFE
        and each.verdict.process_bytes <= 7.5 * 2**30
    ]
    assert 0 < len(expected) < sum(each.gpu == "rtx4070" for each in TABLE.cells)
    assert shown(index, "process") == [cells.gib(each.verdict.process_bytes) for each in expected]
    index.evaluate("document.querySelector('#filters [type=reset]').click()")
    index.evaluate("new Promise(done => setTimeout(done))")
    assert index.evaluate("document.getElementById('count').textContent").startswith(f"{len(TABLE.cells)} of")
    assert len(shown(index, "card")) == len(TABLE.cells)


def test_sorting_by_a_number_is_by_its_value_and_what_is_unknown_is_last(index: chromium.Chromium) -> None:
    head = "document.querySelector('#table th[data-key=ms]')"
    for direction in ("ascending", "descending"):
        index.evaluate(f"{head}.querySelector('button').click()")
        assert index.evaluate(f"{head}.getAttribute('aria-sort')") == direction
        words = shown(index, "ms")
        known = [float(each.replace(",", "")) for each in words if each != "\N{EM DASH}"]
        assert words[len(known) :] == ["\N{EM DASH}"] * (len(words) - len(known))
        assert 0 < len(known) < len(words)
        assert known == sorted(known, reverse=direction == "descending")
    assert max(known) >= 1000  # a thousands' separator is no end of a number


def test_sorting_by_verdict_begins_with_what_fits(index: chromium.Chromium) -> None:
    index.evaluate("document.querySelector('#table th[data-key=verdict] button').click()")
    words = [each.split()[1] for each in shown(index, "verdict")]
    order = ["safe", "tight", "oom"]
    assert words == sorted(words, key=order.index)
    assert set(words) == set(order)


@pytest.mark.parametrize(("name", "code", "text"), [("Enter", 13, "\r"), (" ", 32, " ")])
def test_a_heading_is_reached_and_pressed_by_keys_alone(
    index: chromium.Chromium, name: str, code: int, text: str
) -> None:
    index.evaluate("document.querySelector('#table th[data-key=card] button').focus()")
    for _ in range(3):
        key(index, "Tab", 9)
    assert index.evaluate("document.activeElement.closest('th').dataset.key") == "batch"
    assert index.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    key(index, name, code, text)
    assert index.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == "ascending"
    batches = [int(each) for each in shown(index, "batch")]
    assert batches == sorted(batches)
    assert len(set(batches)) > 3


def test_every_control_has_a_name_and_every_sheet_can_be_scrolled_by_keys(
    browser: chromium.Chromium, site: Path
) -> None:
    for page in ("index.html", "cards/t4.html", "models/gpt-2-124m.html"):
        browser.open(site / page, width=DESK, dark=False)
        nameless = browser.evaluate(
            "[...document.querySelectorAll('select, input, button')].filter(e => !e.textContent.trim() && "
            "!(e.labels && e.labels.length) && !e.getAttribute('aria-label')).map(e => e.outerHTML)"
        )
        assert nameless == []
        assert browser.evaluate(
            "[...document.querySelectorAll('.sheet')]"
            ".every(e => e.tabIndex === 0 && e.getAttribute('aria-label'))"
        )
        unsorted = "document.querySelectorAll('table.sortable thead th:not([aria-sort])').length"
        assert browser.evaluate(unsorted) == 0
        assert browser.evaluate("document.querySelectorAll('table.sortable').length") > 0


# --- can I train it? ---------------------------------------------------------------------------------------


def known(batch: int, gpu: str = "rtx4070", layers: int = 12) -> dict[str, Any]:
    """Address -> cell, of every way with that batch on the card."""
    return {
        cells.address(CONTENTS, each.setting, each.gpu): each
        for each in TABLE.cells
        if each.gpu == gpu
        and (config := CONTENTS.settings[each.setting].config).batch == batch
        and config.n_layer == layers
    }


@pytest.mark.parametrize(("batch", "gpu"), [(4, "rtx4070"), (11, "rtx4070"), (16, "t4")])
def test_the_form_answers_with_the_verdicts_of_the_table_the_best_first(
    index: chromium.Chromium, batch: int, gpu: str
) -> None:
    answers = ask(index, model="GPT-2 124M", card=CONTENTS.card_names[gpu], batch=str(batch))
    expected = known(batch, gpu)
    assert {address for _, _, address, _ in answers} == set(expected)
    order = [cells.verdict(each) for each in cells.ORDER]
    assert [order.index(each[0]) for each in answers] == sorted(order.index(each[0]) for each in answers)
    instead = index.evaluate(
        "[...document.querySelectorAll('#answer .answer')]"
        ".map(e => [...e.querySelectorAll(':scope ul a')].map(a => a.getAttribute('href')))"
    )
    for (verdict, words, address, command), ways_out in zip(answers, instead, strict=True):
        cell = expected[address]
        assert ways_out == [cells.address(CONTENTS, each, gpu) for each in cell.instead]
        assert verdict == cells.verdict(cell.verdict.kind)
        assert command is None
        assert words.count("safe instead") == len(cell.instead)
    if batch == 11:  # the order is not the table's
        assert [address for _, _, address, _ in answers] != list(expected)
        assert {each.verdict.kind for each in expected.values()} == {Kind.SAFE, Kind.TIGHT, Kind.OOM}


def test_the_form_answers_for_one_method_alone(index: chromium.Chromium) -> None:
    way = "fp32, eager, AdamW fused, accumulation 8"
    (answer,) = ask(index, model="GPT-2 124M", card=CARD, batch="16", method=way)
    assert way in answer[1]


def test_what_is_not_in_the_table_gets_the_command_and_no_verdict(index: chromium.Chromium) -> None:
    answers = ask(index, model="GPT-2 124M", card="Tesla T4", batch="6", method="")
    assert len(answers) == 4
    for verdict, words, address, command in answers:
        assert verdict == "? not in the table"
        assert address is None
        assert command == "nanocheck table --gpu t4 --run-all --set batch=6 --set n_layer=12"
        assert "4 ✓ safe" in words


def test_a_searched_batch_filters_and_answers(browser: chromium.Chromium, tmp_path: Path) -> None:
    searched = made_up_tables.searched(TABLE)
    write(tmp_path, searched)
    browser.open(tmp_path / "index.html", width=DESK, dark=False)
    assert searched.largest is not None
    way = TABLE.settings[0].way
    largest = searched.largest.batches()[way, "t4"].batch
    assert largest is not None
    words = CONTENTS.models[0].ways[0].words.replace(", 1,024 tokens", "")

    def heads(batch: int) -> list[str]:
        return [
            f"{verdict} {largest in numbers}"
            for verdict, words_of, *_ in ask(browser, model="GPT-2 124M", card="Tesla T4", batch=str(batch))
            for numbers in [[int(each) for each in re.findall(r"\d+", words_of)]]
        ]

    choose(browser, "question", method=words)
    assert heads(largest) == ["✓ safe True"]
    assert heads(largest + 1) == ["× not safe True"]
    assert heads(largest + 30) == [f"? largest safe batch: {largest} True"]
    before = shown(browser, "largest")
    choose(browser, "filters", least="20")
    assert shown(browser, "largest") == [each for each in before if int(each.rstrip("+")) >= 20]
    assert 0 < len(shown(browser, "largest")) < len(before)


@pytest.mark.parametrize(("gpu", "option"), [("rtx3090", WORDS), ("h100", None)], ids=["in words", "unnamed"])
def test_the_command_names_the_card_as_its_cells_do_or_there_is_none(
    index: chromium.Chromium, gpu: str, option: str | None
) -> None:
    for verdict, _, _, command in ask(index, model="GPT-2 124M", card=CONTENTS.card_names[gpu], batch="6"):
        assert verdict == "? not in the table"
        expected = f"nanocheck table {option} --run-all --set batch=6 --set n_layer=12"
        assert command == (None if option is None else expected)


def test_a_card_that_the_table_did_not_reach_gets_commands_for_all_ways(
    browser: chromium.Chromium, tmp_path: Path
) -> None:
    part = replace(TABLE, complete=False, cells=tuple(each for each in TABLE.cells if each.gpu != "t4"))
    write(tmp_path, part)
    browser.open(tmp_path / "index.html", width=DESK, dark=False)
    answers = ask(browser, model="GPT-2 124M", card="Tesla T4", batch="8")
    assert len(answers) == 4
    for verdict, words, _, command in answers:
        assert verdict == "? not in the table"
        assert "none of these" in words
        assert command.startswith("nanocheck table --gpu t4 --run-all --set batch=8 ")


def test_the_choices_follow_the_model(index: chromium.Chromium) -> None:
    choose(index, "question", model="GPT-2 354M")
    tokens = "[...document.getElementById('question').elements.tokens.options].map(e => e.value)"
    assert index.evaluate(tokens) == ["512"]
    (answer,) = ask(index, card=CARD, batch="2")
    assert answer[2] in known(2, layers=24)


def test_the_link_of_an_answer_opens_the_cell(browser: chromium.Chromium, site: Path) -> None:
    cell = next(each for each in TABLE.cells if each.gpu == "t4" and each.verdict.kind is Kind.OOM)
    anchor = CONTENTS.anchors[cell.setting]
    browser.open(site / "cards" / "t4.html", width=DESK, dark=False)
    inside = f"document.getElementById({json.dumps(anchor)})"
    assert not browser.evaluate(f"{inside}.checkVisibility()")
    browser.evaluate(f"location.hash = {json.dumps(anchor)}")
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert browser.evaluate(f"{inside}.closest('details').open")
    assert cell.command in browser.evaluate(f"{inside}.textContent")


# --- themes, phone, no script ------------------------------------------------------------------------------


def ground(browser: chromium.Chromium) -> str:
    red, green, blue = browser.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.parametrize("dark", [False, True], ids=["light system", "dark system"])
def test_the_theme_is_the_systems_until_the_reader_chooses_and_then_is_kept(
    browser: chromium.Chromium, site: Path, dark: bool
) -> None:
    own, other = (theme.colours(dark=each)["page"] for each in (dark, not dark))
    browser.open(site / "index.html", width=DESK, dark=dark)
    assert ground(browser) == own
    button = "document.getElementById('theme')"
    assert browser.evaluate(f"{button}.textContent") == ("Light theme" if dark else "Dark theme")
    try:
        browser.evaluate(f"{button}.click()")
        assert ground(browser) == other
        browser.open(site / "cards" / "t4.html", width=DESK, dark=dark)
        assert ground(browser) == other
        browser.evaluate(f"{button}.click()")
        assert ground(browser) == own
    finally:
        browser.evaluate("localStorage.clear()")


@pytest.mark.parametrize("page", ["index.html", "cards/t4.html", "cards/h100.html", "models/gpt-2-124m.html"])
def test_a_phone_never_scrolls_the_page_sideways_and_keeps_the_first_column(
    browser: chromium.Chromium, site: Path, page: str
) -> None:
    browser.open(site / page, width=PHONE, dark=True)
    if page == "index.html":
        assert ask(browser, card=CARD, batch="6")
    browser.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= PHONE
    first = "document.querySelector('.sheet')"
    assert browser.evaluate(f"{first}.scrollWidth > {first}.clientWidth")
    browser.evaluate(f"{first}.scrollLeft = 200")
    left = browser.evaluate(
        f"{first}.querySelector('tbody th').getBoundingClientRect().left"
        f" - {first}.getBoundingClientRect().left"
    )
    assert 0 <= left <= 2


def test_nothing_is_refused_by_the_pages_own_policy_and_everything_is_there_without_a_script(
    browser: chromium.Chromium, site: Path
) -> None:
    browser("Log.enable")
    browser("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(site / "index.html", width=DESK, dark=False)
    finally:
        browser("Emulation.setScriptExecutionDisabled", value=False)
    assert len(shown(browser, "card")) == len(TABLE.cells)
    assert browser.evaluate("document.getElementById('question').checkVisibility()") is False
    assert browser.evaluate("document.getElementById('theme').checkVisibility()") is False
    assert browser.evaluate("getComputedStyle(document.querySelector('.sheet')).overflowY") == "auto"
    # The style sheet was let in, and so is the script where scripts may run; nothing inline is.
    browser.open(site / "index.html", width=DESK, dark=False)
    assert browser.evaluate("document.getElementById('question').checkVisibility()") is True
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert browser.evaluate("window.ran === undefined")
