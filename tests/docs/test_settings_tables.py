"""The tables of docs/settings.md and docs/table.md are what the stored runs gave; a sample is run again."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import pytest
from documents import DOCS, script
from paths import ROOT

from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, JudgedRun, Kind
from nanocheck.measuring.configurations import Measurement

PAGE = (DOCS / "settings.md").read_text()
PAGES = PAGE + (DOCS / "table.md").read_text()
REPORT_MADE_ANEW = (
    "the main job wrote another report than the committed one: `python docs/tables.py`, commit it"
)


tables = script(DOCS / "tables.py")
runs = script(ROOT / "benchmarks" / "settings_tables.py")
STORED: Mapping[str, Any] = tables.stored()

#: One cell of each kind; large enough to mean something, small enough to run in seconds.
SAMPLE = [
    ("rtx4070", "nanochat-2026", 12, 2048, "expandable"),
    ("rtx4070-laptop", "nanochat-2026", 16, 2048, "weights-bf16"),
    ("rtx4070", "nanochat-2026", 24, 8192, "update-in-backward"),
    ("rtx4070", "nanochat-2025", 32, 2048, "update-in-backward"),
]


def needs_the_stored_torch() -> None:
    if metadata.version("torch") != STORED["torch"]:
        pytest.skip(f"the tables are of torch {STORED['torch']}; here is {metadata.version('torch')}")


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_page_shows_each_table_as_it_is(name: str) -> None:
    if name.startswith("largest batch, "):
        versions = {str(row.result.environment.torch) for row in tables.load(tables.REPORT).rows}
        if {each.split("+")[0] for each in versions} != {STORED["torch"]}:
            pytest.skip(f"the report was made with torch {', '.join(versions)}: run python docs/tables.py")
    assert f"<!-- table: {name} -->\n\n{tables.TABLES[name]()}\n" in PAGES


def test_the_text_says_how_many_runs_and_with_what() -> None:
    assert f"by {STORED['runs']} runs (virtual, torch {STORED['torch']}; " in PAGE
    assert STORED["provenance"] == "virtual"
    assert STORED["margin_bytes"] == DEFAULT_MARGIN_BYTES


@pytest.mark.parametrize("where", SAMPLE, ids=lambda where: "-".join(map(str, where)))
def test_a_cell_is_the_largest_batch_that_is_safe(where: tuple[str, str, int, int, str]) -> None:
    needs_the_stored_torch()
    card, model, depth, length, added = where
    (cell,) = [
        each
        for each in STORED["largest"]
        if where[:4] == (each["card"], each["model"], each["depth"], each["length"])
        and each["method"].rpartition("+")[2] == added
    ]
    search = runs.Search(card, (runs.nanochat(depth, length, model),), (cell["method"],))
    config = search.chart().config(search.models[0], cell["method"])
    with Measurement(runs.target(card)) as measurement:
        pending = [measurement.submit(runs.replace(config, batch=cell["largest"] + more)) for more in (0, 1)]
        found = [JudgedRun.of(each.result(), DEFAULT_MARGIN_BYTES) for each in pending]
    assert found[0].verdict.kind is Kind.SAFE
    assert found[1].verdict.kind is not Kind.SAFE
    assert found[0].result.main.reserved_bytes == cell["reserved_bytes"]


@pytest.mark.parametrize("method", ["chunked-loss", "8bit"])
def test_what_a_method_is_worth_is_as_stored(method: str) -> None:
    needs_the_stored_torch()
    (row,) = [each for each in STORED["worth"] if each["method"] == method]
    with Measurement(runs.target("rtx4070")) as measurement:
        peak = measurement.submit(runs.worth(method, "off")).result().main
    assert row["eager"] == {"allocated_bytes": peak.allocated_bytes, "reserved_bytes": peak.reserved_bytes}


def test_a_searched_batch_of_the_cards_is_safe_and_one_more_is_not() -> None:
    table = tables.compatibility()
    if metadata.version("torch") != str(table.environment.torch).split("+")[0]:
        pytest.skip(f"the table is of torch {table.environment.torch}; here is {metadata.version('torch')}")
    way = table.settings[0]
    found = table.largest.batches()[way.way, "rtx4070"]
    with Measurement(runs.target("rtx4070")) as measurement:
        pending = [
            measurement.submit(runs.replace(way.config, batch=each.batch))
            for each in (found.safe, found.beyond)
        ]
        safe, beyond = [JudgedRun.of(each.result(), DEFAULT_MARGIN_BYTES) for each in pending]
    assert safe.verdict.kind is Kind.SAFE
    assert safe.result.main.reserved_bytes == found.safe.reserved_bytes
    assert safe.verdict.headroom_bytes == found.safe.headroom_bytes
    assert beyond.verdict.kind in (
        (Kind.TIGHT, Kind.OOM) if found.beyond.kind is None else (found.beyond.kind,)
    )


def test_the_searched_batches_of_the_cards_are_whole_and_proven() -> None:
    """And no cell of the table contradicts them."""
    table = tables.compatibility()
    largest = table.largest
    assert largest.complete
    assert largest.proof.sample >= 10
    assert largest.proof.differences == ()
    assert len(largest.found) % len(table.cards) == 0
    ways = {each.id: (each.way, each.config.batch) for each in table.settings}
    batches = largest.batches()
    for cell in table.cells:
        way, batch = ways[cell.setting]
        found = batches.get((way, cell.gpu))
        if found is None or found.batch is None:
            continue
        if batch > found.batch:
            assert cell.verdict.kind is not Kind.SAFE
        elif cell.verdict.kind is not Kind.SAFE:
            assert batch in found.not_safe_below
    for each in largest.found:
        if each.batch is None:
            assert each.reason.startswith("unsupported")
        else:
            assert each.batch == 0 or each.safe.headroom_bytes >= table.margin_bytes
            assert each.beyond.kind is not Kind.SAFE


def test_the_table_of_cards_is_proven_and_whole() -> None:
    found = tables.compatibility()
    assert found.complete
    assert len(found.cells) == len(found.settings) * len(found.cards)
    assert found.proof.sample == 100
    assert found.proof.differences == ()
    assert len(found.cards) >= 60
    assert len(found.settings) >= 24
    unanswered = {each.verdict.kind for each in found.cells if not each.verdict.is_answer}
    assert unanswered <= {Kind.UNSUPPORTED}
