"""Fit the constants of nanocheck/timing to published single kernels, and write its constants.toml.

    python benchmarks/timing/calibrate.py          # a second; the committed file is its output

Closed forms and medians, in an order in which each constant needs only those before it. Bursts (the best of
many short tries on a cool card) show what units issue; sustained products on cards whose power does not
suffice show joules. Whole steps are not looked at, but for one pair (split.csv).
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from fit_memory import memory, multiprocessors
from fit_products import issue_rates, power
from fitting import ROWS, TORCH, bare, put, rounded, rows_of, tflops
from rows import cards, kernels, steps
from stated import STATED

from nanocheck.core.kernels import Product
from nanocheck.timing.constants import FILE, Constant, Constants
from nanocheck.timing.product import product_seconds, speed


def fit() -> Constants:
    """All constants, in the order of their names."""
    found = dict(STATED)
    issue_rates(found)
    power(found)
    memory(found)
    _waves(found)
    multiprocessors(found)
    _attention(found)
    _odd(found)
    return Constants(dict(sorted(found.items())))


def _waves(found: dict[str, Constant]) -> None:
    rows = rows_of(("product",), ("bf16", "fp32"), lambda card: True)
    rows = [
        (card, row) for card, row in rows if row["unit"] == "ms" or row["shape"].startswith(("2048", "4096"))
    ]
    errors = {}
    for step in range(13):
        tried = Constants({**found, "wave_overhead": bare(step * 0.25), "odd_dimension": bare(1.0)})
        errors[step * 0.25] = statistics.fmean(
            abs(
                math.log(
                    product_seconds(card, Product(m=m, n=n, k=k), TORCH[row["dtype"]], tried)
                    / (2e-12 * m * n * k / tflops(row))
                )
            )
            for card, row in rows
            for m, n, k in [tuple(map(int, row["shape"].split()))]
        )
    best = min(errors, key=lambda each: (errors[each], each))
    found["wave_overhead"] = Constant(
        value=best,
        unit="microseconds",
        rows=len(rows),
        meaning="filling and draining a wave of tiles",
        source=f"least mean error of products of 2048 to 4096 and of linear layers, {ROWS}",
    )


def _attention(found: dict[str, Constant]) -> None:
    probe = Constants(found)
    card = cards()["rtxpro6000"]
    groups: dict[tuple[str, str, int], list[float]] = {}
    for row in kernels("calibrate"):
        if row["kind"] == "attention":
            _, heads, length, head = map(int, row["shape"].split())
            backward = row["direction"] == "backward"
            operations = (5 if backward else 2) * heads * length**2 * head
            rate = operations / float(row["figure"]) * 1e3
            groups.setdefault((row["dtype"], row["direction"], head), []).append(rate)
    for way in ("forward", "backward"):
        large = speed(card, "bfloat16", probe)
        put(
            found,
            f"attention_{way} 12.0",
            (min(1.0, each / large) for each in groups["bf16", way, 128]),
            "of a large product's speed",
            f"fused attention, head 128, {way}",
            f"SDPA on an RTX PRO 6000, 32,768 tokens and more, {ROWS}",
        )
        pairs = zip(groups["bf16", way, 64], groups["bf16", way, 128], strict=True)
        put(
            found,
            f"attention_head_64_{way}",
            (min(1.0, small / big) for small, big in pairs),
            "of head 128",
            f"heads of at most 64, {way}",
            f"the same rows, {ROWS}",
        )
        both = [each for head in (64, 128) for each in groups["fp32", way, head]]
        put(
            found,
            f"attention_fp32_{way}",
            (each / speed(card, "float32", probe) for each in both),
            "of a large fp32 product",
            f"memory-efficient attention in fp32, {way}",
            f"SDPA on an RTX PRO 6000, {ROWS}",
        )


def _odd(found: dict[str, Constant]) -> None:
    """Two steps that differ in the vocabulary: their difference is that of the three products of the head."""
    odd, even = sorted(steps("calibrate"), key=lambda row: -int(float(row["milliseconds"])))
    added = (float(odd["milliseconds"]) - float(even["milliseconds"])) * 1e-3
    card = cards()[even["card"]]
    rows = int(even["batch"]) * int(even["context"])
    probe = Constants({**found, "odd_dimension": bare(1.0)})
    width, vocab = int(even["width"]), int(even["vocab"])
    head = sum(
        product_seconds(card, Product(m=m, n=n, k=k), "bfloat16", probe)
        for m, n, k in ((rows, vocab, width), (rows, width, vocab), (vocab, width, rows))
    )
    found["odd_dimension"] = Constant(
        value=rounded(1 + added / head),
        unit="times",
        rows=2,
        meaning=(
            "a half-precision product with a dimension that is no multiple of 8, against one that is padded"
        ),
        source=(
            "RTX 4060 Ti, GPT-2 124M: 15,000 tokens/s with 50257, 15,300 with 50304 "
            "(benchmarks/timing/steps.csv)"
        ),
    )


def text(found: Constants) -> str:
    """The TOML file."""
    lines = ["# Written by benchmarks/timing/calibrate.py: change the rows or the fit, not this file.", ""]
    for name, one in found.described.items():
        lines += [
            f'["{name}"]',
            f"value = {rounded(one.value)}",
            f'unit = "{one.unit}"',
            f'meaning = "{one.meaning}"',
            f'source = "{one.source}"',
            f"rows = {one.rows}",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.parse_args().out.write_text(text(fit()))
