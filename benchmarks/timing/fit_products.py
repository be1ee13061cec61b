"""What units issue, and what their operations cost in joules."""

from __future__ import annotations

import math
import statistics

from fitting import ROWS, TORCH, bare, put, rounded, rows_of, tflops
from rows import cards, kernels

from nanocheck.core.kernels import Product
from nanocheck.timing.constants import Constant, Constants
from nanocheck.timing.product import issue, product_seconds

PICOJOULE = "pJ an operation"
LARGE = 6144
#: Operations: shorter products end before the board's controller reacts.
LONG = 1e11
GENERATIONS = ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0")


def issue_rates(found: dict[str, Constant]) -> None:
    how = f"median of bursts / peak at the rated clock, {ROWS}"
    for generation in ("8.0", "9.0", "10.0", "12.0"):
        rows = rows_of(
            ("burst",), ("bf16",), lambda card, of=generation: card.generation == of and not card.half_rate
        )
        rows = [(card, row) for card, row in rows if "pcie" not in card.id]  # 250 to 350 W: power decides
        meaning = (
            "of the peak that a large product issues: full rate; of the generations up to the next one given"
        )
        put(
            found,
            f"issue_tensor {generation}",
            (tflops(row) / card.peak("bfloat16") * 1e12 for card, row in rows),
            "of the peak",
            meaning,
            how,
        )
    rows = rows_of(("burst", "product"), ("bf16",), lambda card: card.half_rate and card.generation != "7.5")
    rows = [
        (card, row) for card, row in rows if row["kind"] == "burst" or int(row["shape"].split()[0]) >= LARGE
    ]
    put(
        found,
        "issue_tensor_half_rate",
        (tflops(row) / card.peak("bfloat16") * 1e12 for card, row in rows),
        "of the peak",
        "the same at half rate (GeForce): easy to feed, and clocks above the rated boost",
        f"median of bursts and large products, {ROWS}",
    )
    fp32 = "of the peak that a large fp32 product issues where a multiprocessor has "
    own = [(f"issue_fp32 {each}", "128", each) for each in ("8.6", "8.9", "9.0", "10.0", "12.0")]
    for name, units, generation in (("issue_fp32_64", "64", "8.0"), *own):
        rows = rows_of(
            ("burst",),
            ("fp32",),
            lambda card, of=generation: card.generation == of and (card.half_rate or card.memory == "hbm"),
        )
        put(
            found,
            name,
            (tflops(row) / card.peak("float32") * 1e12 for card, row in rows),
            "of the peak",
            fp32 + units + " units",
            f"median of bursts on cards whose power suffices, {ROWS}",
        )
    found["emulated_bf16"] = Constant(
        value=0.55,
        unit="of fp32",
        meaning="bf16 products where no unit knows it (Turing)",
        source=(
            "Tesla T4 fp32 and bf16 bursts: 4.35 and 2.27 TFLOPS "
            "(zzc0721/torch-performance-test-data, database)"
        ),
        rows=0,
    )


def power(found: dict[str, Constant]) -> None:
    series = [row for row in kernels("calibrate") if row["power_limit_w"]]
    card = cards()["rtxpro6000"]
    most = found["issue_tensor 12.0"].value * card.peak("bfloat16") * 1e-12
    # log speed = exponent * log(watts left) + constant: least squares over the limits
    xs = [math.log(float(row["power_limit_w"]) - found["idle_power"].value * card.tgp_w) for row in series]
    ys = [math.log(float(row["figure"]) / most) for row in series]
    exponent = statistics.linear_regression(xs, ys).slope
    found["power_exponent"] = Constant(
        value=rounded(exponent),
        unit="",
        rows=len(series),
        meaning=(
            "speed goes with this power of the watts that are left: 1/3 where voltage "
            "follows the clock, 1 where it is at its floor"
        ),
        source=f"least squares over six power limits of an RTX PRO 6000, {ROWS}",
    )
    for kind, dtypes in (("tensor", ("bf16", "fp16")), ("fp32", ("fp32",))):
        for generation in GENERATIONS:
            name = f"energy_{kind} {generation}"
            if name in found:
                continue
            by_card = _energies(found, generation, dtypes)
            if not by_card:
                continue  # the generation before stands for it
            card, values = min(by_card.items(), key=lambda item: statistics.median(item[1]))
            put(
                found,
                name,
                values,
                PICOJOULE,
                f"energy of one {kind} operation" + (" with fp32 sums" if kind == "tensor" else ""),
                (
                    f"sustained products on {card}, the card of the least of medians: what is "
                    f"slow for another reason than power looks dear, {ROWS}"
                ),
            )


def _energies(found: dict[str, Constant], generation: str, dtypes: tuple[str, ...]) -> dict[str, list[float]]:
    """By card, the joules that would explain each product; where power suffices, the most that it leaves."""
    rows = rows_of(
        ("product",),
        dtypes,
        lambda card: card.generation == generation and not (card.half_rate and dtypes != ("fp32",)),
    )
    probe = Constants({**found, "wave_overhead": bare()})
    free = Constants(
        {
            **probe.described,
            f"energy_tensor {generation}": bare(1e-9),
            f"energy_fp32 {generation}": bare(1e-9),
        }
    )
    values: dict[str, list[float]] = {}
    for card, row in rows:
        m, n, k = map(int, row["shape"].split())
        if 2.0 * m * n * k < LONG:
            continue
        dtype = TORCH[row["dtype"]]
        most = issue(card, dtype, probe)
        tiles = 2.0 * m * n * k / product_seconds(card, Product(m=m, n=n, k=k), dtype, free) / most
        reached = min(1.0, tflops(row) * 1e12 / (most * tiles))
        limit = float(row["power_limit_w"] or card.tgp_w) - found["idle_power"].value * card.tgp_w
        values.setdefault(card.id, []).append(
            limit / (most * 1e-12) / reached ** (1 / found["power_exponent"].value)
        )
    return values
