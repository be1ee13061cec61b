"""The site's pages say what the table says, lead nowhere that is not there, and obey no text of strangers."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from pathlib import Path

import made_up_tables
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from site_reading import Reader, broken, html, targets

from nanocheck.core.errors import StoredDataError
from nanocheck.core.gpus import load_catalog
from nanocheck.core.result import Provenance
from nanocheck.core.table import Difference, How, Table
from nanocheck.core.verdict import Kind
from nanocheck.report import ledger
from nanocheck.report.site import cells, pages
from nanocheck.report.site.contents import Contents

TABLE = made_up_tables.table(made_up_tables.some_settings(), made_up_tables.some_cards())
#: Of one way nothing was searched.
SEARCHED = made_up_tables.searched(TABLE, left_out=[TABLE.settings[-1].way])
CATALOG = load_catalog()
LEDGER = ledger.load(Path(__file__).parents[2] / "reports" / "claims-rtx4070.json")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    assert LEDGER is not None
    return pages.files(TABLE, catalog=CATALOG, ledgers=[LEDGER])


def test_every_link_leads_to_a_file_and_an_anchor_of_the_site(files: dict[str, str]) -> None:
    assert broken(files) == []
    assert len(list(targets(files))) > len(TABLE.cells)


def test_nothing_is_fetched_and_nothing_runs_but_the_sites_own_two_files(files: dict[str, str]) -> None:
    for name, page in html(files).items():
        policy = next(each for each in page.of("meta") if each.get("http-equiv") == "Content-Security-Policy")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"} <= set(
            policy["content"].split("; ")
        )
        (script,), (sheet,) = page.of("script"), [e for e in page.of("link") if e["rel"] == "stylesheet"]
        assert {posixpath.basename(script["src"]), posixpath.basename(sheet["href"])} == {
            "site.js",
            "site.css",
        }
        assert page.of("style") == []
        assert [
            each for _, each in page.found if any(key.startswith("on") or key == "style" for key in each)
        ] == [], name
    assert "http" not in files["site.js"]
    assert "url(" not in files["site.css"]
    assert "@import" not in files["site.css"]
    assert len(files["site.js"].splitlines()) < 275


def test_the_large_table_has_every_cell_with_its_verdict_and_figures(files: dict[str, str]) -> None:
    rows = re.findall(r'<tr data-s="(\d+)".*?href="([^"]*)">(.*?)</a>(.*)', files["index.html"])
    assert len(rows) == len(TABLE.cells)
    for (place, address, card, rest), cell in zip(rows, TABLE.cells, strict=True):
        setting = TABLE.settings[int(place)]
        assert setting.id == cell.setting
        assert card == next(e.name for e in TABLE.cards if e.gpu == cell.gpu).removeprefix("NVIDIA ")
        assert address.startswith(f"cards/{cell.gpu}.html#")
        values = re.sub(r"<td[^>]*>", "|", rest).split("|")[1:]
        assert values[0].split()[1] == cell.verdict.kind.value
        assert values[2] == f"{setting.config.batch:,}"
        assert values[5] == setting.config.dtype
        reserved = values[list(cells.COLUMNS).index("reserved") - 1]
        assert float(reserved.replace(",", "")) == pytest.approx(cell.reserved_bytes / 2**30, abs=0.006)
        assert values[-1] == cell.how.value


def test_a_cards_page_has_each_cells_command_run_and_way_out(files: dict[str, str]) -> None:
    for card in TABLE.cards:
        words = " ".join("".join(Reader(files[f"cards/{card.gpu}.html"]).words).split())
        for cell in (each for each in TABLE.cells if each.gpu == card.gpu):
            assert cell.command in words
            assert f"{cell.reserved_bytes:,} B" in words
        assert ("This very card ran it" in words) == any(
            each.gpu == card.gpu and each.how is How.RUN for each in TABLE.cells
        )
        gpu = CATALOG[card.gpu]
        assert gpu.sources["bandwidth_gb_s"] in words
        assert card.usable_source in words


def test_a_models_page_has_the_largest_safe_batch_of_every_way_and_card(files: dict[str, str]) -> None:
    page = files["models/gpt-2-124m.html"]
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    ways = list(dict.fromkeys(each.way for each in TABLE.settings if each.config.n_layer == 12))
    largest = TABLE.largest_safe()
    found = [re.findall(r'<td class="number">(.*?)</td>', row)[1:] for row in table.split("<tr>")[1:]]
    expected = [[str(largest[way, card.gpu] or "\N{EM DASH}") for way in ways] for card in TABLE.cards]
    assert found == expected
    assert len({each for row in expected for each in row}) > 3
    assert "modelled" in page


def test_a_search_stands_where_the_largest_batch_of_the_table_stood() -> None:
    """On every page that shows it; a way that was not searched says so where others were."""
    assert SEARCHED.largest is not None
    made, found = pages.files(SEARCHED), SEARCHED.largest.batches()

    def words(way: str, gpu: str) -> str:
        batch = found[way, gpu].batch
        return f"{batch}{'+' * (batch == 64)}"  # where the search ended

    page = made["models/gpt-2-124m.html"]
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    ways = list(dict.fromkeys(each.way for each in TABLE.settings if each.config.n_layer == 12))
    shown = [re.findall(r'<td class="number">(.*?)</td>', row)[1:] for row in table.split("<tr>")[1:]]
    assert shown == [[words(way, card.gpu) for way in ways] for card in TABLE.cards]
    assert {each for row in shown for each in row} - {"0", "1", "4", "8", "11", "16", "32"}
    assert "of those asked" not in page
    assert "of those asked" in made[f"models/{Contents(SEARCHED).models[-1].slug}.html"]
    rows = re.findall(r"<tr data-s=.*", made["index.html"])
    place = list(cells.COLUMNS).index("largest")
    ways_of = {each.id: each.way for each in TABLE.settings}
    for row, cell in zip(rows, TABLE.cells, strict=True):
        key = (ways_of[cell.setting], cell.gpu)
        assert row.split("<td")[place].split(">")[1] == (words(*key) if key in found else "\N{EM DASH}")
    assert "5 of them, drawn at random" in made["index.html"]
    csv_rows = list(csv.DictReader(io.StringIO(made["table.csv"])))
    for line, cell in zip(csv_rows, TABLE.cells, strict=True):
        known = found.get((ways_of[cell.setting], cell.gpu))
        batch = line["largest safe batch"]
        assert (float(batch) if batch else None) == (known.batch if known else None)
        assert line["one more"] in (("tight", "oom", "") if known else ("",))


def test_a_bar_ends_beyond_the_cards_line_where_the_setting_does_not_fit(files: dict[str, str]) -> None:
    page = files["cards/t4.html"]
    bars = re.findall(
        r'<span class="v-([\w-]+)">.*?</span>\s*<svg.*?x="([\d.]+)%" y="3" width="([\d.]+)%" height="12"/>'
        r'\s*<line class="card-edge" x1="([\d.]+)%"',
        page,
        re.DOTALL,
    )
    cells = [each for each in TABLE.cells if each.gpu == "t4"]
    assert len(bars) == len(cells)
    beyond = {kind: set() for kind in ("safe", "tight", "oom")}  # type: dict[str, set[bool]]
    for kind, start, width, line in bars:
        beyond[kind].add(float(start) + float(width) > float(line))
    assert beyond["safe"] == {False}
    assert beyond["oom"] == {True}


def test_what_does_not_fit_shows_what_it_asks_for_and_not_where_it_died() -> None:
    card = made_up_tables.some_cards()[0]
    found = next(each for each in TABLE.cells if each.verdict.kind is Kind.OOM and each.gpu == card.gpu)
    died = replace(found, verdict=replace(found.verdict, process_bytes=123 << 20))
    page = pages.files(replace(TABLE, cells=(died,)))["index.html"]
    asked = f"{(found.reserved_bytes + card.context_bytes) / 2**30:,.2f}"
    assert f"<td>{asked}<td>" in page


def test_a_cell_without_an_answer_shows_no_bytes_and_a_computed_card_says_so() -> None:
    none = replace(
        TABLE.cells[0],
        verdict=replace(TABLE.cells[0].verdict, kind=Kind.UNSUPPORTED, process_bytes=0, headroom_bytes=None),
        allocated_bytes=0,
        reserved_bytes=0,
        provenance=Provenance.UNKNOWN,
        time=None,
        instead=(),
    )
    guess = replace(TABLE.cards[0], usable_source="computed: nominal less 3 %")
    made = pages.files(replace(TABLE, cells=(none, *TABLE.cells[1:]), cards=(guess, *TABLE.cards[1:])))
    row = next(each for each in made["index.html"].splitlines() if each.startswith("<tr data-s="))
    assert "? unsupported" in row
    assert "0.00" not in row
    assert "on a virtual GPU that keeps account" in made["index.html"]
    assert made["index.html"].count("<td>computed</td>") == 1
    card = made[f"cards/{guess.gpu}.html"]
    assert "computed, nobody published it" in card
    assert none.verdict.sentence in card
    assert ">0 B<" not in card
    assert card.count('class="peak"') == len(TABLE.settings) - 1


def test_what_was_not_reached_is_said_and_is_no_verdict() -> None:
    part = replace(TABLE, cells=TABLE.cells[:-3], complete=False)
    made = pages.files(part)
    assert "3 not reached" in made["index.html"]
    assert broken(made) == []
    assert "the table was stopped before it came here" not in made["index.html"]
    bare = pages.files(replace(TABLE, cells=TABLE.cells[:1], complete=False))["index.html"]
    assert bare.count("the table was stopped before it came here") == 4
    assert made["cards/h100.html"].count("not reached: the table was stopped") == 1


def test_a_proof_with_a_difference_shows_both_sides() -> None:
    assert TABLE.proof is not None
    wrong = Difference(setting=TABLE.settings[0].id, gpu="t4", derived="12 bytes", run="<b>13</b> bytes")
    page = pages.files(replace(TABLE, proof=replace(TABLE.proof, differences=(wrong,))))["index.html"]
    assert "1 differs from what was derived" in page
    assert "12 bytes" in page
    assert "&lt;b&gt;13&lt;/b&gt; bytes" in page
    assert "Every one says what was derived" not in page
    assert "No derived cell was checked" in pages.files(replace(TABLE, proof=None))["index.html"]


@pytest.mark.parametrize("part", ["settings", "cards", "cells"])
def test_a_table_that_contradicts_itself_is_refused(part: str) -> None:
    entries = getattr(TABLE, part)
    with pytest.raises(StoredDataError):
        pages.files(replace(TABLE, **{part: (*entries, entries[0])}))
    stranger = replace(TABLE.cells[0], gpu="nowhere")
    with pytest.raises(StoredDataError):
        pages.files(replace(TABLE, cells=(stranger,)))


def test_a_card_that_the_catalog_has_otherwise_gets_none_of_its_figures() -> None:
    other = replace(TABLE, cards=tuple(replace(each, sms=each.sms + 1) for each in TABLE.cards))
    page = pages.files(other, catalog=CATALOG)["cards/t4.html"]
    assert CATALOG["t4"].sources["bandwidth_gb_s"] not in page


def test_no_verdict_is_told_by_its_colour_alone(files: dict[str, str]) -> None:
    for kind in (Kind.SAFE, Kind.OOM):
        for shown in re.findall(
            rf'class="v-{kind.value}"[^>]*>(.*?)<', files["index.html"] + files["cards/t4.html"]
        ):
            assert re.search(r"[✓≈×]", shown), shown


# --- sizes and downloads -----------------------------------------------------------------------------------


def test_forty_settings_on_sixty_five_cards_are_small_and_quick() -> None:
    import time

    large = made_up_tables.large(40, 65)
    assert len(large.cells) == 2600
    began = time.process_time()
    made = pages.files(large, catalog=CATALOG)
    assert time.process_time() - began < 20
    assert len(made["index.html"].encode()) < 1_500_000
    assert len([name for name in made if name.startswith("cards/")]) == 65


def test_what_is_downloaded_is_the_table(files: dict[str, str]) -> None:
    assert msgspec.convert(json.loads(files["table.json"]), Table) == TABLE
    rows = list(csv.DictReader(io.StringIO(files["table.csv"])))
    assert len(rows) == len(TABLE.cells)
    for row, cell in zip(rows, TABLE.cells, strict=True):
        assert (row["setting"], row["gpu"], row["verdict"]) == (cell.setting, cell.gpu, cell.verdict.kind)
        assert int(row["peak reserved bytes"]) == cell.reserved_bytes
        assert row["command"] == cell.command


def test_the_same_table_gives_the_same_bytes(files: dict[str, str]) -> None:
    assert LEDGER is not None
    assert pages.files(TABLE, catalog=CATALOG, ledgers=[LEDGER]) == files
    assert files["claims.html"].count("Claims") >= 1
    assert LEDGER.findings[0].id in files["claims.html"]


@settings(max_examples=15)
@given(data=st.data())
def test_any_part_of_a_table_makes_a_site_without_a_broken_link(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(TABLE.settings), unique_by=lambda each: each.id, max_size=4))
    cards = data.draw(st.lists(st.sampled_from(TABLE.cards), unique_by=lambda each: each.gpu, max_size=3))
    made = made_up_tables.table(rows, cards)
    kept = data.draw(
        st.lists(st.sampled_from(made.cells), unique_by=lambda e: (e.setting, e.gpu))
        if made.cells
        else st.just([])
    )
    site = pages.files(replace(made, cells=tuple(kept)))
    assert broken(site) == []
    assert site["index.html"].count("<tr data-s=") == len(kept)
