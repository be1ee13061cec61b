"""Two compared recordings as text, as a page of Markdown and as plain data."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from nanocheck.learning.comparing import VERDICTS, Compared, K, Row
from nanocheck.report.cells import escape, table
from nanocheck.units import counted

SCHEMA = 1
_LEGEND = (
    "(2.0x): times the rounding error of the number format, which is the distance of these runs to the "
    f"formulas in fp64, or to the same step in fp32; up to {K:g} times is rounding."
)
_WORDS = {"loss": "loss (nats)", "grad_norm": "gradient norm", "parameters": "parameters"}


def text(compared: Compared, width: int) -> str:
    """For a terminal: what differs around it, a block for each configuration, and the count."""
    lines = [f"{name}: {old} -> {new}" for name, old, new in compared.differences]
    lines = lines or ["the same environment"]
    wide = max(len(verdict) for verdict in VERDICTS)
    for row in compared.rows:
        lines.append(f"{row.verdict:{wide}}  {row.name}")
        for part in _told(row):
            indent = " " * (wide + 2)
            lines.append(textwrap.fill(part, width, initial_indent=indent, subsequent_indent=indent + "  "))
    lines += [f"{'':{wide}}  {name}: only in the {which}" for which, name in _lonely(compared)]
    if any(row.error is not None for row in compared.rows):
        lines += ["", textwrap.fill(_LEGEND, width)]
    return "\n".join([*lines, "", _counted(compared)])


def markdown(compared: Compared, names: tuple[str, str]) -> str:
    """The whole page, ending in a newline.

    Args:
        names: of the two files.
    """
    environment = [
        {
            "": name,
            "before": compared.before.get(name, "-"),
            "after": compared.after.get(name, "-"),
        }
        for name in sorted({*compared.before, *compared.after})
    ]
    rows = [
        {
            "configuration": row.name,
            "verdict": row.verdict,
            **{word: _figure(row, name) for name, word in _WORDS.items()},
            "first difference": "" if row.parting is None else str(row.parting),
            "notes": row.note,
        }
        for row in compared.rows
    ]
    parts = [
        "# Did the training change?",
        f"{_counted(compared)}. Before: {escape(names[0])}; after: {escape(names[1])}. Provenance: measured, "
        f"real arithmetic on {escape(compared.before.get('device', '?'))} and "
        f"{escape(compared.after.get('device', '?'))}.",
        table(pd.DataFrame(environment)),
        table(pd.DataFrame(rows), right=list(_WORDS.values())),
    ]
    if _lonely(compared):
        parts.append("\n".join(f"- {escape(name)}: only in the {which}" for which, name in _lonely(compared)))
    parts.append(f"Figures: the largest difference of any step. {_LEGEND}")
    parts.append("\n".join(f"- **{verdict}**: {meaning}" for verdict, meaning in VERDICTS.items()))
    return "\n\n".join(parts) + "\n"


def to_dict(compared: Compared, names: tuple[str, str]) -> dict[str, Any]:
    """Plain data for JSON."""
    return {
        "schema": SCHEMA,
        "kind": "compared recordings",
        "provenance": "measured",
        "before": {"file": names[0], "environment": dict(compared.before)},
        "after": {"file": names[1], "environment": dict(compared.after)},
        "moved": compared.moved,
        "k": K,
        "counts": compared.counts,
        "rows": [_finite(asdict(row)) for row in compared.rows],
        "only_before": list(compared.only_before),
        "only_after": list(compared.only_after),
    }


def _told(row: Row) -> list[str]:
    found = []
    if row.parting is not None:
        found.append(f"first difference: {row.parting}")
    if row.apart is not None:
        figures = ", ".join(f"{word} {_figure(row, name)}" for name, word in _WORDS.items())
        found.append(f"largest difference: {figures}")
    return [*found, row.note] if row.note else found


def _figure(row: Row, name: str) -> str:
    """``0.059 (34x)``: the difference, and how many times the rounding error that is."""
    if row.apart is None:
        return "0" if row.verdict == "equal" else "-"
    value = getattr(row.apart, name)
    if row.error is None:
        return f"{value:.3g}"
    times = value / getattr(row.error, name)
    return f"{value:.3g} ({times:,.0f}x)" if times >= 10 else f"{value:.3g} ({times:.2g}x)"


def _lonely(compared: Compared) -> list[tuple[str, str]]:
    before = [("first file", name) for name in compared.only_before]
    return before + [("second file", name) for name in compared.only_after]


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for, such as the norm of a missing parameter."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _counted(compared: Compared) -> str:
    return counted("configuration", compared.counts)
