"""The site obeys no text of strangers, and publishes nothing of the machine that made it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import made_up_tables
import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from site_reading import Reader, broken, html

from nanocheck.core.gpus import load_catalog
from nanocheck.core.table import Difference, Largest, LargestBatches, Proof, Table
from nanocheck.report import ledger
from nanocheck.report.site import pages
from nanocheck.report.site.links import slugs
from nanocheck.report.site.private import public, public_ledger

TABLE = made_up_tables.table(made_up_tables.some_settings(), made_up_tables.some_cards())
SEARCHED = made_up_tables.searched(TABLE, left_out=[TABLE.settings[-1].way])
CATALOG = load_catalog()
LEDGER = ledger.load(Path(__file__).parents[2] / "reports" / "claims-rtx4070.json")
#: Ends of attributes, elements and scripts, formulas, and characters that turn text around.
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\u202e\x1b[2J=1+1"


def hostile() -> Table:
    """Every text of a table is an attack."""

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: poison(each, name) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [poison(each, key) for each in value]
        names = ("setting", "gpu", "id", "instead", "run_on", "name", "usable_source", "group", "why")
        texts = (
            *names,
            "command",
            "attention",
            "sentence",
            "recorded_on",
            "decided_by",
            "capability",
            "date",
        )
        texts = (*texts, "platform", "torch", "os", "python", "cuda", "nanocheck")
        return f"{value}{HOSTILE}" if isinstance(value, str) and key in texts else value

    table = msgspec.convert(poison(msgspec.to_builtins(TABLE)), Table)
    largest = LargestBatches(
        most=9,
        found=(Largest(way=table.settings[0].way, gpu=table.cards[0].gpu, batch=None, reason=HOSTILE),),
        left_out={HOSTILE: HOSTILE},
        proof=Proof(sample=1, fit=0, seed=0),
    )
    return replace(table, largest=largest)


def test_hostile_text_makes_no_element_and_no_link_and_changes_no_shape() -> None:
    assert LEDGER is not None
    files = pages.files(TABLE, catalog=CATALOG, ledgers=[LEDGER])
    made = pages.files(hostile(), catalog=CATALOG)
    assert broken(made) == []
    for name, page in html(made).items():
        assert not page.of("img")
        assert len(page.of("script")) == 1, name
        assert not [each for _, each in page.found if any(key.startswith("on") for key in each)]
        assert "\x1b" not in made[name]
        assert "\u202e" not in made[name]
    kinds = [
        [tag for tag, _ in page.found] for page in (Reader(files["index.html"]), Reader(made["index.html"]))
    ]
    assert [each for each in kinds[0] if each == "tr"] == [each for each in kinds[1] if each == "tr"]
    rows = list(csv.DictReader(io.StringIO(made["table.csv"])))
    assert len(rows) == len(TABLE.cells)
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "@"))]


def test_a_field_that_begins_as_a_formula_is_text_in_the_csv() -> None:
    card = replace(TABLE.cards[0], name="=HYPERLINK(A1)")
    made = pages.files(replace(TABLE, cards=(card, *TABLE.cards[1:])))
    assert "=HYPERLINK(A1)" not in [row["card"] for row in csv.DictReader(io.StringIO(made["table.csv"]))]


@given(st.lists(st.text(max_size=100), unique=True, max_size=30))
def test_slugs_are_safe_and_no_two_are_equal_to_a_file_system(names: list[str]) -> None:
    found = slugs(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for slug in found.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
        assert slug not in ("con", "nul", "aux", "com1")
        assert len(slug) < 100


def test_slugs_of_names_that_differ_in_case_or_in_signs_alone() -> None:
    found = slugs(["../../etc", "RTX 4070", "rtx-4070", "Rtx/4070", "rtx-4070-2", "", "..", "CON", "é"])
    assert list(found.values()) == [
        "etc", "rtx-4070", "rtx-4070-2", "rtx-4070-3", "rtx-4070-2-2", "x", "x-2", "x-con", "e",
    ]  # fmt: skip


def test_no_path_and_no_name_of_a_machine_is_published() -> None:
    cell = replace(
        TABLE.cells[0], command="/home/jo/venv/bin/nanocheck table --gpus=/srv/my.toml --gpu rtx4070 #box7"
    )
    card = replace(
        TABLE.cards[0], usable_source="read by jo on box7; https://example.org/a/b and a/relative/path"
    )
    assert SEARCHED.largest is not None
    why = "crashed at batch 3: /srv/x of jo on box7"
    difference = Difference(setting="s", gpu="g", derived="/home/jo/a", run="/home/jo/b")
    largest = replace(
        SEARCHED.largest,
        found=(replace(SEARCHED.largest.found[0], batch=None, reason=why, command=cell.command),),
        left_out={"way": why},
        proof=Proof(sample=1, fit=1, seed=0, differences=(difference,)),
    )
    told = replace(TABLE, cells=(cell,), cards=(card,), largest=largest)
    found = public(told, names=("jo", "box7", "/home/jo"))
    text = msgspec.json.encode(found).decode()
    for secret in ("/home", "/srv", "box7", "jo on"):
        assert secret not in text
    assert "https://example.org/a/b and a/relative/path" in text
    assert "--gpu rtx4070" in found.cells[0].command
    assert public(SEARCHED, names=()) == SEARCHED
    assert LEDGER is not None
    ledger_of_jo = public_ledger(replace(LEDGER, command="pytest /home/jo/suites"), names=("jo",))
    assert ledger_of_jo.command == "pytest <path>"
