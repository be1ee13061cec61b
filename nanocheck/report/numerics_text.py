"""Two compared recordings as text, as a page of Markdown and as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nanocheck.core.pairing import Compared, plain
from nanocheck.numerics.compare import TOLERANCE_FACTOR, Row
from nanocheck.report import pairing_text
from nanocheck.report.blocks import Block
from nanocheck.report.markdown_cells import escape, frame_of, table
from nanocheck.report.pairing_text import RenderedComparison

_LEGEND = (
    "(2.0x): times the rounding error of the number format, which is the distance of these runs to the "
    f"formulas in fp64, or to the same step in fp32; up to {TOLERANCE_FACTOR:g} times is rounding."
)
_WORDS = {"loss": "loss (nats)", "grad_norm": "gradient norm", "parameters": "parameters"}


def render(compared: Compared[Row], names: tuple[str, str]) -> RenderedComparison:
    """The comparison in words.

    Args:
        names: of the two files.
    """
    return RenderedComparison(
        moved=compared.moved,
        blocks=_blocks(compared),
        markdown=_markdown(compared, names),
        plain=plain(compared, names, "compared recordings")
        | {
            "provenance": "measured",
            "k": TOLERANCE_FACTOR,
            "rows": [_finite(asdict(row)) for row in compared.rows],
        },
    )


def _blocks(compared: Compared[Row]) -> list[Block]:
    rows = ((row.verdict, row.name, _parts(row)) for row in compared.rows)
    legend = [_LEGEND] if any(row.error is not None for row in compared.rows) else []
    return pairing_text.blocks(compared, rows, "file", *legend)


def _markdown(compared: Compared[Row], names: tuple[str, str]) -> str:
    rows = [
        {
            "configuration": row.name,
            "verdict": row.verdict,
            **{word: _figure(row, name) for name, word in _WORDS.items()},
            "first difference": "" if row.divergence is None else str(row.divergence),
            "notes": row.note,
        }
        for row in compared.rows
    ]
    return pairing_text.page(
        compared,
        title="Did the training change?",
        about=f"Before: {escape(names[0])}; after: {escape(names[1])}. Provenance: measured, "
        f"real arithmetic on {escape(compared.before.get('device', '?'))} and "
        f"{escape(compared.after.get('device', '?'))}.",
        rows=table(frame_of(rows), right=list(_WORDS.values())),
        thing="file",
        note=f"Figures: the largest difference of any step. {_LEGEND}",
    )


def _parts(row: Row) -> list[str]:
    found = []
    if row.divergence is not None:
        found.append(f"first difference: {row.divergence}")
    if row.apart is not None:
        figures = ", ".join(f"{word} {_figure(row, name)}" for name, word in _WORDS.items())
        found.append(f"largest difference: {figures}")
    return [*found, row.note] if row.note else found


def _figure(row: Row, name: str) -> str:
    """``0.059 (34x)``: the difference, and how many times the rounding error that is."""
    if row.apart is None:
        return "0" if row.verdict == "equal" else "-"
    value = getattr(row.apart, name)
    error = 0.0 if row.error is None else getattr(row.error, name)
    if not error:
        return f"{value:.3g}"
    times = value / error
    return f"{value:.3g} ({times:,.0f}x)" if times >= 10 else f"{value:.3g} ({times:.2g}x)"


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for, such as the norm of a missing parameter."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
