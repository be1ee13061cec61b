"""The model against published whole steps: how far it is off, where, and how often the interval holds.

    python benchmarks/timing/validate.py             # scores.toml, and the tables of docs/time.md
    python benchmarks/timing/validate.py --rows      # each row, to standard output

No row here calibrated anything. Beside the model stand the plain roofline (the larger of operations / peak
and bytes / bandwidth, kernel by kernel) and the old count of ``nanocheck/search/step_cost.py``.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import cs336
import gpt2
from hosts import Run, hosts
from rows import calibrated_cards, cards, steps

from nanocheck.core.kernels import KernelList
from nanocheck.core.step_time import StepTime
from nanocheck.timing.card import Card
from nanocheck.timing.constants import load
from nanocheck.timing.estimate import estimate
from nanocheck.timing.intervals import kind_of, quantiles
from nanocheck.timing.queue import Timed, issues, timed

TORCH = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "tf32": "tf32"}
#: What a host needs for one launch, to tell rows that it decides from others where its own rows do not say it
#: (hosts.py). Never part of an estimate. Launch-bound eager rows show 16 to 63 us; generated code is faster.
HOST_MICROSECONDS = {False: 20.0, True: 6.0}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published figure and what three ways of counting say, in seconds."""

    source: str
    card: str
    unseen: bool
    dtype: str
    mode: str
    kind: str
    segment: str
    host_bound: bool
    host_known: bool
    real: float
    modelled: float
    roofline: float
    old: float | None
    what: str

    @property
    def error(self) -> float:
        return self.modelled / self.real - 1


def kernels_of(row: dict[str, str]) -> KernelList:
    """By formula; a recorded list can take its place here."""
    size = {key: int(float(row[key])) for key in ("layers", "width", "heads", "vocab", "context", "batch")}
    dtype = TORCH[row["dtype"]]
    if row["model"] == "cs336":
        return cs336.kernel_list(
            cs336.Cs336(
                **size,
                ff=int(row["ff"]),
                dtype=dtype,
                segment=row["segment"].replace("forward+backward", "both"),
                variant=cs336.VARIANTS[row["source"].split("/")[0]],
            )
        )
    return gpt2.kernel_list(
        gpt2.Gpt2(
            **size,
            accumulation=int(row["accumulation"]),
            dtype=dtype,
            compiled=row["mode"] == "compiled",
            flash=row["attention"] == "flash",
            fused=row["optimizer"] == "fused",
        )
    )


def roofline(kernels: KernelList, card: Card) -> float:
    """Each kernel at the data sheet's figures, nothing in L2."""
    return sum(
        times
        * max(kernel.operations / card.peak(kernel.dtype), (kernel.read + kernel.written) / card.bandwidth)
        for kernel, times in kernels
    )


def old_count(row: dict[str, str], card: str) -> float | None:
    """``step_cost.py``, for what it can describe: GPT-2 with flash attention on the catalog's cards."""
    from nanocheck.core.config import StepConfig
    from nanocheck.core.gpus import load_catalog
    from nanocheck.search.step_cost import cost

    if row["model"] != "gpt2" or row["attention"] != "flash" or card not in load_catalog():
        return None
    config = StepConfig(
        batch=int(row["batch"]),
        accumulation=int(row["accumulation"]),
        dtype=row["dtype"],
        compile="default" if row["mode"] == "compiled" else "off",
        vocab_size=int(row["vocab"]),
        optimizer="adamw-fused" if row["optimizer"] == "fused" else "adamw-foreach",
    )
    return cost(config, load_catalog()[card]).seconds


def compare() -> list[Row]:
    """All rows that validate; those that measured their machine's host do not."""
    rows = steps("validate")
    lists = [kernels_of(row) for row in rows]
    times = [timed(cards()[row["card"]], one, load()) for row, one in zip(rows, lists, strict=True)]
    alone = [
        estimate(one, cards()[row["card"]], times=found)
        for row, one, found in zip(rows, lists, times, strict=True)
    ]
    runs = [
        Run(
            table=(_owner(row), *(row[key] for key in ("card", "dtype", "mode", "segment", "optimizer"))),
            launches=issues(found),
            real=float(row["milliseconds"]) * 1e-3,
            card=answer.seconds,
        )
        for row, found, answer in zip(rows, lists, alone, strict=True)
    ]
    known, used = hosts(runs)
    return [
        _row(row, lists[at], times[at], alone[at], runs[at], known.get(runs[at].table))
        for at, row in enumerate(rows)
        if at not in used
    ]


def _owner(row: dict[str, str]) -> str:
    return row["source"].split("@")[0].split(" (")[0]


def _row(
    row: dict[str, str],
    kernels: KernelList,
    times: list[list[Timed]],
    alone: StepTime,
    run: Run,
    each: float | None,
) -> Row:
    card = cards()[row["card"]]
    if each is None:
        answer = alone
        host_bound = run.launches * HOST_MICROSECONDS[kernels.compiled] * 1e-6 > alone.seconds
    else:
        answer = estimate(kernels, card, host_seconds=each * run.launches, times=times)
        host_bound = answer.decided_by == "host"
    return Row(
        source=_owner(row),
        card=row["card"],
        unseen=row["card"] not in calibrated_cards(),
        dtype=row["dtype"],
        mode=row["mode"],
        kind=kind_of(kernels),
        segment=row["segment"],
        host_bound=host_bound,
        host_known=each is not None,
        real=run.real,
        modelled=answer.seconds,
        roofline=roofline(kernels, card),
        old=old_count(row, row["card"]),
        what=f"{row['model']} {row['layers']}/{row['width']} T={row['context']} B={row['batch']}",
    )


def scores(rows: Sequence[Row]) -> list[tuple[str, str, str, float]]:
    """(kind, source, card, median of log real / modelled) of rows that the card decides."""
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        if not row.host_bound:
            groups[row.kind, row.source, row.card].append(math.log(row.real / row.modelled))
    return [(*key, statistics.median(values)) for key, values in sorted(groups.items())]


def coverage(found: Sequence[tuple[str, str, str, float]]) -> dict[str, tuple[int, int, int]]:
    """Kind -> (scores inside the interval of all other sources, scores asked, scores with no interval)."""
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for kind, source, _, score in found:
        others = [each for k, s, _, each in found if k == kind and s != source]
        bounds = quantiles(others)
        if bounds is None:
            counted[kind][2] += 1
        else:
            counted[kind][1] += 1
            counted[kind][0] += bounds[0] <= score <= bounds[1]
    return {kind: (a, b, c) for kind, (a, b, c) in counted.items()}


def line(
    name: str, rows: Sequence[Row], value: Callable[[Row], float | None] = lambda row: row.modelled
) -> str:
    errors = [(each / row.real - 1) for row in rows if (each := value(row)) is not None]
    if not errors:
        return f"| {name} | 0 | | | | |"
    sizes = sorted(abs(each) for each in errors)
    p90 = sizes[min(len(sizes) - 1, math.ceil(0.9 * len(sizes)) - 1)]
    return (
        f"| {name} | {len(errors)} | {statistics.median(sizes):.1%} | {p90:.1%} | {sizes[-1]:.1%} | "
        f"{statistics.median(errors):+.1%} |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", action="store_true")
    chosen = parser.parse_args()
    if chosen.rows:
        for row in sorted(compare(), key=lambda row: (row.kind, row.mode, row.source, row.card)):
            name = f"{row.kind + ' ' + row.mode:16} {row.source[:28]:28} {row.card:16} {row.what:34}"
            decided = "host" if row.host_bound else "card"
            figures = f"{row.real * 1e3:10.2f} {row.modelled * 1e3:10.2f} {row.error:+7.1%}"
            print(f"{name} {row.segment:16} {decided} {figures}")
    else:
        from tables import write

        write(compare())
