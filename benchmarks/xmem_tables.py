"""The tables of benchmarks/xmem.py, from xMem's rows and a stored result."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean, median

from tabulate import tabulate
from xmem_data import TOOLS, Prediction, Result, Row, repeats

ROOT = Path(__file__).parent.parent
#: Which tables stand on which page, between ``<!-- xmem NAME -->`` and ``<!-- xmem end -->``.
PAGES = {ROOT / "README.md": ("summary",), ROOT / "docs" / "accuracy.md": ("summary", "far", "rows")}

OURS = "nanocheck"
#: Per cent beyond which a row stands in the table of those that are far off.
FAR = 2.0
NAMES = {OURS: OURS, **TOOLS}


def predictions(row: Row, result: Result) -> dict[str, Prediction]:
    """Each tool's answer for a row, nanocheck's first; a tool that has none is left out."""
    answer = result.rows.get(row.name)
    ours = answer.prediction if answer else None
    return {**({OURS: ours} if ours else {}), **row.tools}


def error(predicted: Prediction, row: Row) -> float:
    """Per cent of the measured value, with its sign."""
    return (predicted.mib - row.measured_mib) / row.measured_mib * 100


def wrong(predicted: Prediction, row: Row) -> bool:
    """It said that the run fits and it did not, or the other way round."""
    return predicted.oom != row.measured_oom


def summary(rows: list[Row], result: Result) -> str:
    """Errors over the rows that ended on the card, wrong verdicts over all that a tool answered."""
    table = []
    for tool, name in NAMES.items():
        answered = [(each[tool], row) for row in rows if tool in (each := predictions(row, result))]
        finished = [abs(error(said, row)) for said, row in answered if not row.measured_oom]
        wrongly = [said.oom for said, row in answered if wrong(said, row)]
        table.append(
            {
                "tool": name,
                "median error": f"{median(finished):.2f} %" if finished else "-",
                "mean": f"{mean(finished):.2f} %" if finished else "-",
                "largest": f"{max(finished):.1f} %" if finished else "-",
                "rows": str(len(finished)),
                "wrong verdicts": f"{len(wrongly)} of {len(answered)}",
                "said it fits, ran out": str(wrongly.count(False)),
            }
        )
    return tabulate(table, headers="keys", tablefmt="github", disable_numparse=True)


def _cell(said: Prediction | None, row: Row) -> str:
    """MiB and error, ``oom`` where the tool says so, bold where that verdict is wrong."""
    if said is None:
        return "-"
    figure = f"{said.mib:,.0f}" if row.measured_oom else f"{said.mib:,.0f} ({error(said, row):+.1f} %)"
    text = f"{figure}{' oom' if said.oom else ''}"
    return f"**{text}**" if wrong(said, row) else text


def whole(rows: list[Row], result: Result) -> str:
    """Every row: measured, each tool's figure, its error. No error where the card ran out of memory."""
    table = []
    for row in rows:
        said = predictions(row, result)
        mode = "?" if row.zero_grad_mode is None else str(row.zero_grad_mode)
        answer = result.rows.get(row.name)
        ours = _cell(said.get(OURS), row) if OURS in said else (answer.verdict if answer else "not run")
        table.append(
            {
                "model": row.model.split("/")[-1],
                "optimizer": row.optimizer,
                "batch": str(row.batch),
                "zero_grad": mode,
                "measured": f"{row.measured_mib:,}{' oom' if row.measured_oom else ''}",
                OURS: ours,
                **{name: _cell(said.get(tool), row) for tool, name in TOOLS.items()},
            }
        )
    return tabulate(table, headers="keys", tablefmt="github", disable_numparse=True)


def is_far(said: Prediction, row: Row) -> bool:
    """More than ``FAR`` from what was measured of a run that ended."""
    return not row.measured_oom and abs(error(said, row)) > FAR


def far(rows: list[Row], result: Result) -> str:
    """Rows that nanocheck is far off, beside the other real runs of the same row."""
    again = repeats()
    table = []
    for row in rows:
        said = predictions(row, result).get(OURS)
        if said is None or not is_far(said, row):
            continue
        later = result.later.get(row.name)
        runs = [f"{mib:,} (limit {limit:,})" for mib, limit in again.get(row.name, [])]
        table.append(
            {
                "row": f"{row.model.split('/')[-1]} {row.optimizer} {row.batch}",
                "measured": f"{row.measured_mib:,}",
                "measured again": ", ".join(runs) or "-",
                OURS: _cell(said, row),
                "as a later task": _cell(Prediction(later, said.oom), row) if later else "-",
            }
        )
    return tabulate(table, headers="keys", tablefmt="github", disable_numparse=True)


def pages(rows: list[Row], result: Result) -> dict[Path, str]:
    """Each page as it must be, its tables made anew from this result."""
    made = {"summary": summary(rows, result), "far": far(rows, result), "rows": whole(rows, result)}
    texts = {}
    for page, names in PAGES.items():
        text = page.read_text()
        for name in names:
            place = re.compile(rf"(<!-- xmem {name} -->\n\n).*?(\n\n<!-- xmem end -->)", re.DOTALL)
            text, times = place.subn(rf"\g<1>{made[name]}\g<2>", text)
            if times != 1:
                raise ValueError(f"{page.name}: {times} places for xmem {name}, expected one")
        texts[page] = text
    return texts
