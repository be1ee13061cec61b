"""What copies, norms and softmax reach, and what a launch takes."""

from __future__ import annotations

from fitting import ROWS, put
from rows import cards, kernels

from nanocheck.core.kernels import Product
from nanocheck.timing.constants import Constant, Constants
from nanocheck.timing.product import product_seconds

WIDE = 32768


def memory(found: dict[str, Constant]) -> None:
    known = cards()
    for memory in ("hbm", "gddr", "gddr-ecc"):
        rows = [
            row
            for row in kernels("calibrate")
            if row["kind"] == "copy" and known[row["card"]].memory == memory
        ]
        put(
            found,
            f"copy {memory}",
            (float(row["figure"]) / known[row["card"]].bandwidth_gb_s for row in rows),
            "of the bandwidth",
            {
                "hbm": "what a large copy reaches on stacked memory",
                "gddr": "the same on GeForce cards",
                "gddr-ecc": "the same where check bits share the memory (workstation, data-centre)",
            }[memory],
            f"median of device copies, {ROWS}",
        )
    for name, kind, way, bytes_each in (
        ("norm_forward", "norm", "forward", 8),
        ("norm_backward", "norm", "backward", 12),
        ("softmax", "softmax", "forward", 8),
    ):
        values = []
        for row in kernels("calibrate"):
            card = known[row["card"]]
            if row["kind"] != kind or row["direction"] != way:
                continue
            count, width = map(int, row["shape"].split())
            moved = bytes_each * count * width
            if moved < 2 * card.l2_bytes or (way == "forward" and width > 4096):
                continue
            values.append(
                moved
                / float(row["figure"])
                * 1e-6
                / (card.bandwidth_gb_s * found[f"copy {card.memory}"].value)
            )
        put(
            found,
            name,
            values,
            "of a copy's speed",
            f"{kind} kernels of PyTorch's own, {way}",
            f"median over rows that do not fit L2, {ROWS}",
        )
    wide = []
    for row in kernels("calibrate"):
        if row["kind"] == "cross entropy" and row["direction"] == "forward":
            count, width = map(int, row["shape"].split())
            if width >= WIDE:
                card = known[row["card"]]
                copy = card.bandwidth_gb_s * found[f"copy {card.memory}"].value
                wide.append(8 * count * width / float(row["figure"]) * 1e-6 / copy)
    put(
        found,
        "log_softmax",
        wide,
        "of a copy's speed",
        "log-softmax over a vocabulary: rows too long to be kept are read again",
        f"median of cross entropy over 32,768 words and more, {ROWS}",
    )
    tiny = []
    for row in kernels("calibrate"):
        if row["kind"] == "launch":
            count, width = map(int, row["shape"].split())
            card = known[row["card"]]
            moved = 2 * (4 if row["dtype"] == "fp32" else 2) * count * width
            tiny.append(
                float(row["figure"]) * 1e3 - moved / (card.bandwidth * found["copy gddr"].value) * 1e6
            )
    put(
        found,
        "launch_gap",
        tiny,
        "microseconds",
        "a kernel that has nothing to do: its start, its end and the gap to the next",
        f"median of the smallest softmax kernels less their bytes, {ROWS}",
    )


#: Bytes of an element of the scores that elementwise kernels and reductions move, and their launches with
#: those of the two products: div 8, max 4, sub 8, exp 8, sum 4, div 8.
_SCORES, _LAUNCHES = 40, 8


def multiprocessors(found: dict[str, Constant]) -> None:
    """From attention written out, without a mask: what is left when products and launches are taken off."""
    probe = Constants(found)
    values = []
    for row in kernels("calibrate"):
        if row["kind"] == "written attention":
            card = cards()[row["card"]]
            batch, heads, length, head = map(int, row["shape"].split())
            scores = batch * heads * length**2
            stored = 4 * scores / (card.bandwidth * found[f"copy {card.memory}"].value)
            products = sum(
                max(product_seconds(card, one, "float32", probe), stored)
                for one in (
                    Product(m=length, n=length, k=head, batch=batch * heads),
                    Product(m=length, n=head, k=length, batch=batch * heads),
                )
            )
            left = float(row["figure"]) * 1e-3 - products - _LAUNCHES * found["launch_gap"].value * 1e-6
            values.append(_SCORES * scores / left / (card.sms * card.boost_mhz * 1e6))
    put(
        found,
        "sm_bytes_a_clock",
        values,
        "bytes",
        "what a multiprocessor moves in a clock, at most, in kernels of few operations a byte",
        f"written-out attention in fp32 on a B200, whose memory could move more, {ROWS}",
    )
