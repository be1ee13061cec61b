"""A table as a page, as comma-separated values and on a terminal: nothing is hidden, nothing breaks out."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_world import World, card

from nanocheck.core.config import StepConfig
from nanocheck.core.matrix import Entry
from nanocheck.core.table import Difference, Proof, Table
from nanocheck.core.verdict import Kind
from nanocheck.report import table_markdown, table_text
from nanocheck.report.console import as_text
from nanocheck.report.table_csv import as_csv
from nanocheck.report.table_frame import would_fit
from nanocheck.tables.largest import search
from nanocheck.tables.making import make

TARGETS = [card("a2", 46, 6_500), card("b", 46, 24_000)]


def need(config: StepConfig, _: int) -> int:
    return 2_000 + 1_100 * config.batch // config.accumulation


def made(*configs: StepConfig, why: str = "a reason", **options: object) -> Table:
    entries = [Entry(config=each, group="a group", why=why) for each in configs]
    return make(entries, TARGETS, World(need), **options)[0]  # type: ignore[arg-type]


def columns(page: str) -> list[str]:
    """Of the first table of a page, without card and usable memory."""
    head = next(line for line in page.splitlines() if line.startswith("|"))
    return [each.strip() for each in head.strip("|").split("|")][2:]


@pytest.mark.parametrize(
    "other",
    [
        {"accumulation": 4},
        {"seed": 5},
        {"cycle": "full"},
        {"bias": True},
        {"compile": "default", "memory_budget": 50},
    ],
)
def test_every_way_has_a_column_of_its_own(other: dict[str, object]) -> None:
    plain = {"compile": other["compile"]} if "compile" in other else {}
    ways = [StepConfig(batch=8, **plain), StepConfig(batch=8, **other)]  # type: ignore[arg-type]
    found = columns(table_markdown.render(made(*ways)))
    assert len(set(found)) == 2


def test_a_searched_batch_stands_in_the_page_and_a_way_without_says_so() -> None:
    ways = [StepConfig(batch=8), StepConfig(batch=8, accumulation=4), StepConfig(batch=8, seed=5)]
    world = World(need)
    table = made(*ways)
    largest = search(table, TARGETS, world, ways=table.settings[:2], most=20)
    found = msgspec.structs.replace(table, largest=largest)
    page = table_markdown.render(found)
    assert [each.endswith("(of those asked)") for each in columns(page)] == [False, False, True]
    rows = [
        [each.strip() for each in line.strip("|").split("|")][2:]
        for line in page.splitlines()
        if line.startswith(("| a2 ", "| b "))
    ]
    batches = {key: each.batch for key, each in largest.batches().items()}
    shown = [[batches[way.way, target.gpu.id] for way in table.settings[:2]] for target in TARGETS]
    assert [[each.rstrip("+") for each in row[:2]] for row in rows[:2]] == [
        [str(each or "-") for each in row] for row in shown
    ]
    assert 20 in [each for row in shown for each in row]
    assert [each[-1] for each in rows[:2]] == ["-", "8"]
    text = as_text(table_text.render(found), width=200)
    assert f"{largest.runs.total:,} runs" in text
    assert text.count("20+") == shown[0].count(20) + shown[1].count(20)


def test_where_nobody_knows_a_page_does_not_say_that_nothing_fits() -> None:
    found = made(StepConfig(batch=2), StepConfig(batch=4))
    unknown = msgspec.structs.replace(found.cells[0].verdict, kind=Kind.TIMEOUT)
    cells = [
        msgspec.structs.replace(each, verdict=unknown) if each.gpu == "b" else each for each in found.cells
    ]
    page = table_markdown.render(msgspec.structs.replace(found, cells=tuple(cells)))
    row = next(line for line in page.splitlines() if line.startswith("| b "))
    assert row.strip("| ").split("|")[-1].strip() == "timeout"


def test_a_page_shows_a_command_for_cards_of_the_catalog_and_one_for_each_in_words() -> None:
    own = {"b": ["--card", "name=`b`, ```, memory=24GiB, like=t4"]}
    page = table_markdown.render(made(StepConfig(batch=2), own_cards=own))
    fence, block = re.findall(r"^(`{3,})\n(.*?)\n\1$", page, re.MULTILINE | re.DOTALL)[0]
    assert len(fence) > 3
    assert block.splitlines() == [
        "nanocheck table --gpu CARD --run-all --set batch=2",
        "nanocheck table --card 'name=`b`, ```, memory=24GiB, like=t4' --run-all --set batch=2",
    ]


def test_an_id_that_is_a_part_of_the_command_is_not_taken_for_it() -> None:
    entry = Entry(config=StepConfig(batch=2), group="", why="")
    found, _ = make([entry], [card("table", 46, 24_000)], World(need))
    assert "nanocheck table --gpu CARD --run-all" in table_markdown.render(found)


def test_a_table_of_nothing_can_be_shown() -> None:
    """Interrupted before the first cell."""
    nothing = msgspec.structs.replace(made(StepConfig(batch=2)), cells=(), complete=False)
    for page in (table_markdown.render(nothing), as_text(table_text.render(nothing))):
        assert "Interrupted" in page
        assert "()" not in page
        assert "attention" not in page
    assert as_csv(nothing).strip() == ""


def test_a_page_names_the_cells_that_a_run_contradicts() -> None:
    wrong = Difference(setting="a setting", gpu="b", derived="one | thing", run="another")
    found = msgspec.structs.replace(
        made(StepConfig(batch=2)), proof=Proof(sample=1, fit=1, seed=0, differences=(wrong,))
    )
    page = table_markdown.render(found)
    assert "one &#124; thing" in page
    assert "same to the byte" not in page


def test_what_would_fit_names_the_accumulation() -> None:
    found = made(StepConfig(batch=8), StepConfig(batch=8, accumulation=4))
    (cell,) = [each for each in found.cells if each.gpu == "a2" and each.instead]
    assert would_fit(cell, {each.id: each for each in found.settings}) == "accumulation = 4"


@given(st.text(max_size=60))
def test_a_reason_breaks_out_of_no_page(why: str) -> None:
    usual, hostile = (table_markdown.render(made(StepConfig(batch=2), why=each)) for each in ("x", why))
    for page in (usual, hostile):
        assert "\x1b" not in page
    shape = [[line.count("|"), line.count("<"), line.startswith(("#", "```"))] for line in usual.splitlines()]
    assert shape == [
        [line.count("|"), line.count("<"), line.startswith(("#", "```"))] for line in hostile.splitlines()
    ]
