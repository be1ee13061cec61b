"""What the fits of constants have in common."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

from rows import cards, kernels

from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constant

TORCH = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "tf32": "tf32"}
ROWS = "benchmarks/timing/kernels.csv"


def put(
    found: dict[str, Constant], name: str, values: Iterable[float], unit: str, meaning: str, how: str
) -> None:
    listed = list(values)
    found[name] = Constant(
        value=rounded(statistics.median(listed)), unit=unit, meaning=meaning, source=how, rows=len(listed)
    )


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


def tflops(row: dict[str, str]) -> float:
    figure = float(row["figure"])
    if row["unit"] == "TFLOPS":
        return figure
    m, n, k = map(int, row["shape"].split())
    return 2e-9 * m * n * k / figure


def rows_of(
    kinds: tuple[str, ...], dtypes: tuple[str, ...], which: Callable[[Card], bool]
) -> list[tuple[Card, dict[str, str]]]:
    known = cards()
    return [
        (known[row["card"]], row)
        for row in kernels("calibrate")
        if row["kind"] in kinds and row["dtype"] in dtypes and which(known[row["card"]])
    ]


def bare(value: float = 0.0) -> Constant:
    return Constant(value=value, unit="", meaning="", source="", rows=0)
