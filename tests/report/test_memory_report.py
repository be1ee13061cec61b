"""The report says what the results say, and nothing a record holds can break it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import ENVIRONMENT, device, oom_result, peaks, result

from nanocheck.core.comparison import Comparison, ComparisonKind
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, classify
from nanocheck.report import markdown_cells, memory_report, report_file
from nanocheck.report.report_file import Report, Row
from nanocheck.report.section import Section

EQUAL = Comparison(kind=ComparisonKind.EQUAL, sentence="equal")


def report_of(*results: RunResult, comparison: Comparison | None = EQUAL, **changes: Any) -> Report:
    rows = tuple(Row(result=each, verdict=classify(each), comparison=comparison) for each in results)
    values: dict[str, Any] = {
        "date": "2026-11-22",
        "command": "pytest suites/ --gpu rtx4070",
        "margin_bytes": DEFAULT_MARGIN_BYTES,
        "rows": rows,
    }
    return Report(**{**values, **changes})


def ladder() -> list[RunResult]:
    """Batches 4 and 8 safe, 12 tight, 16 out of memory."""
    sizes = {4: 5000, 8: 9000, 12: 11_200}
    results = [
        result(StepConfig(batch=batch), peaks=peaks(size * MIB, size * MIB)) for batch, size in sizes.items()
    ]
    return [*results, oom_result(StepConfig(batch=16))]


def table_rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, the rule left out."""
    after = page[page.index(heading) :].splitlines()[1:]
    start = next(index for index, line in enumerate(after) if line.startswith("|"))
    rows = []
    for line in after[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


def test_the_answer_comes_first_and_is_the_largest_safe_batch() -> None:
    page = memory_report.render(report_of(*ladder()))
    header, line = table_rows(page, "## In ten seconds")
    answer = dict(zip(header, line, strict=True))
    assert answer["largest safe batch"] == "8"
    assert (answer["tight"], answer["out of memory"]) == ("12", "16")
    assert (answer["precision"], answer["step"], answer["accumulation"]) == ("bf16", "eager", "1")
    assert "Largest safe batch: 8 (bf16 eager)." in page
    assert (
        page.index("## In ten seconds")
        < page.index("## What died where")
        < page.index("## Every configuration")
    )
    assert "2 safe, 1 tight, 1 oom, of 4 configurations" in page


def test_a_hole_below_the_largest_safe_batch_is_told() -> None:
    batch_6 = result(StepConfig(batch=6), retries=1)
    header, line = table_rows(memory_report.render(report_of(*ladder(), batch_6)), "## In ten seconds")
    assert dict(zip(header, line, strict=True))["largest safe batch"] == "8 (but not 6)"


def test_nothing_safe_is_said() -> None:
    page = memory_report.render(report_of(oom_result()))
    assert "No configuration that ran is safe." in page
    assert "none of those run" in page


def test_what_died_where_names_request_phase_line_and_shape() -> None:
    page = memory_report.render(report_of(*ladder()))
    header, line = table_rows(page, "## What died where")
    death = dict(zip(header, line, strict=True))
    assert death["bytes"] == "1,648,361,472"
    assert death["asked for (MiB)"] == "1,572.00"
    assert (death["phase"], death["step"], death["shape"]) == ("backward", "0", "(16, 1024, 50304)")
    assert death["line"].startswith("buf1 = empty_strided_cuda")


def test_every_row_has_its_peaks_headroom_backend_and_provenance() -> None:
    page = memory_report.render(report_of(*ladder()))
    header, *lines = table_rows(page, "## Every configuration")
    row = dict(zip(header, lines[1], strict=True))
    assert row["peak allocated (MiB)"] == row["peak reserved (MiB)"] == "9,000.00"
    assert row["headroom (MiB)"] == "2,586.00"
    assert (row["peak in"], row["attention"], row["provenance"]) == ("backward", "flash", "virtual")
    assert row["configuration"] == "gpt2-768-b8-a1-bf16-eager"
    assert len(lines) == 4


def test_rows_are_grouped_by_model_precision_and_compile() -> None:
    results = [
        result(StepConfig(dtype=dtype, compile=mode, n_embd=width))
        for width in (768, 576)
        for dtype in ("bf16", "fp16")
        for mode in ("off", "default")
    ]
    page = memory_report.render(report_of(*results))
    for heading in (
        "### GPT-2 124M (12 layers, 12 heads, 768 wide), bf16, eager",
        "### GPT-2, 12 layers, 12 heads, 576 wide (77 M parameters), fp16, compiled",
    ):
        assert len(table_rows(page, heading)) == 2


def test_provenance_is_never_mixed_silently() -> None:
    pure = memory_report.render(report_of(*ladder()))
    assert "Numbers of different provenance" not in pure
    capped = device(capped_from="NVIDIA L40S")
    mixed = memory_report.render(
        report_of(*ladder(), result(StepConfig(batch=8), provenance="measured", device=capped))
    )
    assert "**Numbers of different provenance stand in this report: look at the column.**" in mixed
    _, *answers = table_rows(mixed, "## In ten seconds")
    assert {line[-1] for line in answers} == {"virtual", "measured, capped NVIDIA L40S"}
    assert "**measured, capped NVIDIA L40S**: a real GPU ran it" in mixed


def test_a_crash_is_no_answer_and_says_why() -> None:
    page = memory_report.render(
        report_of(*ladder(), result(StepConfig(batch=2), outcome="crashed", peaks=(), detail="boom | <b>\n"))
    )
    header, line = table_rows(page, "## No answer")
    assert dict(zip(header, line, strict=True))["why"] == "crashed: boom &#124; &lt;b&gt;"


def test_a_part_and_notes_and_environment_and_limits_are_told() -> None:
    page = memory_report.render(
        report_of(*[result(each.config, notes=("attention fell back",)) for each in ladder()], whole=False)
    )
    assert "**Only a part of the matrix ran.**" in page
    assert "- attention fell back (gpt2-768-b4-a1-bf16-eager, " in page
    for text in (
        "2.14.1+cu130",
        "2026-11-22",
        "## Limits",
        "--reserve 2GiB",
        "pytest suites/ --gpu rtx4070",
        "## Legend",
    ):
        assert text in page


def test_an_empty_report_is_a_page() -> None:
    assert "nothing ran" in memory_report.render(report_of())


def test_the_report_is_a_pure_function(tmp_path: Path) -> None:
    report = report_of(*ladder())
    assert memory_report.render(report) == memory_report.render(report_of(*ladder()))
    assert report_file.dumps(report) == report_file.dumps(report_of(*ladder()))


# --- nothing breaks out of a table ------------------------------------------------------------------------


@given(st.text())
def test_a_cell_is_one_line_without_markup_or_control_bytes(text: str) -> None:
    cell = markdown_cells.escape(text)
    assert not set(cell) & set("|<>\n\r\t`*[]~\\$\x00\x1b\x7f\u2028\u202e")
    assert cell.isprintable() or cell == ""


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_a_table_keeps_its_shape_whatever_it_holds(texts: list[str]) -> None:
    lines = markdown_cells.table(pd.DataFrame([dict(zip("abc", texts, strict=True))])).splitlines()
    assert len(lines) == 3
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("text", ["1e5", "007", "nan", "inf", "1_000", "-0"])
def test_numbers_stay_as_they_were_written(text: str) -> None:
    assert f" {text} " in markdown_cells.table(pd.DataFrame([{"x": text}]))


def test_hostile_output_of_a_child_stays_text() -> None:
    hostile = oom_result()
    assert hostile.oom is not None
    line = "a | <script>alert(1)</script>\n# heading\x1b[31m`"
    hostile = oom_result(oom=msgspec.structs.replace(hostile.oom, line=line))
    page = memory_report.render(report_of(hostile))
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "\n# heading" not in page


# --- the data ---------------------------------------------------------------------------------------------


def test_the_json_holds_everything_but_wall_times_and_comes_back(tmp_path: Path) -> None:
    report = report_of(*ladder())
    path = tmp_path / "rtx4070.json"
    path.write_text(report_file.dumps(report))
    stored = json.loads(path.read_text())
    assert (stored["schema"], stored["date"]) == (2, "2026-11-22")
    assert stored["rows"][0]["id"] == ladder()[0].id
    assert stored["rows"][0]["result"]["environment"] == msgspec.to_builtins(ENVIRONMENT)
    back = report_file.load(path)
    rows = [
        msgspec.structs.replace(row, result=msgspec.structs.replace(row.result, seconds={}))
        for row in report.rows
    ]
    assert back == msgspec.structs.replace(report, rows=tuple(rows))
    assert memory_report.render(back) == memory_report.render(report)
    assert sum('"verdict"' in line for line in path.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"schema": 2,', '"schema": 7,', "schema 2, found 7"),
        ('"margin_bytes"', '"margin"', "malformed report: Object"),
        ('"device": {', '"device": 5, "d": {', "malformed report: .*device"),
        ('"id": "', '"id": "x', "malformed report: expected the id"),
        ('"rows": [', '"rows": [NaN,', "found NaN"),
        ("{", "", "not JSON"),
    ],
)
def test_a_damaged_report_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(report_file.dumps(report_of(*ladder())).replace(old, new, 1))
    with pytest.raises(StoredDataError, match=said):
        report_file.load(path)


def test_a_section_is_the_same_page_after_it_was_stored(tmp_path: Path) -> None:
    section = Section(
        title="Animals",
        paragraphs=("two", "of them"),
        columns=("zebra", "ant"),
        cells=(("1", "2"), ("3", "4")),
        right=("ant",),
        more="a.md",
    )
    report = report_of(*ladder(), sections=(section, Section(title="None", paragraphs=())))
    path = tmp_path / "report.json"
    path.write_text(report_file.dumps(report))
    assert memory_report.render(report_file.load(path)) == memory_report.render(report)
    assert table_rows(memory_report.render(report), "## Animals")[0] == ["zebra", "ant"]
    path.write_text(path.read_text().replace('["1", "2"]', '["1"]'))
    with pytest.raises(StoredDataError, match="malformed report"):
        report_file.load(path)
