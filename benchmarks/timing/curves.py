"""A step of GPT-2 124M on the RTX 4070: milliseconds and tokens/s over batch and block size, modelled.

    python benchmarks/timing/curves.py              # records what curves.csv lacks, and writes it
    python benchmarks/timing/curves.py --picture    # docs/images/step-time-curves.svg from the figures

Eager and compiled, with and without checkpointing of blocks. Each point is a run of its own on the
virtual card, in some seconds (compiled ones: a minute); where memory runs out there, the point says so. The
host's time is that of the machine that ran this.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.measuring.configurations import Measurement, trace_folder
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate
from nanocheck.tracing.kernel_list import kernel_lists

GPU = "rtx4070"
FIGURES = Path(__file__).with_suffix(".csv")
BATCHES, BLOCKS = (1, 2, 4, 8, 16), (256, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Point:
    """One configuration.

    ``outcome``: completed, or how it ended otherwise, and then the rest is "". ``decided``: card or host.

    ``largest``: the kind of kernels that takes most of the card's time, with its share.
    """

    compiled: str
    checkpointing: str
    batch: str
    block: str
    outcome: str
    step_ms: str = ""
    card_ms: str = ""
    host_ms: str = ""
    tokens_per_second: str = ""
    decided: str = ""
    largest: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Which configuration it is."""
        return self.compiled, self.checkpointing, self.batch, self.block


def points() -> Iterator[Point]:
    """That are asked for, cheap ones first."""
    for compiled in ("no", "yes"):
        for checkpointing in ("none", "block"):
            shapes = {*((batch, 1024) for batch in BATCHES), *((4, block) for block in BLOCKS)}
            for batch, block in sorted(shapes):
                yield Point(compiled, checkpointing, str(batch), str(block), "")


def record(point: Point) -> Point:
    """Run it on the virtual card, and ask the model."""
    config = StepConfig(
        batch=int(point.batch),
        block_size=int(point.block),
        compile="default" if point.compiled == "yes" else "off",
        checkpointing=point.checkpointing,
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Target(kind="virtual", gpu=find_gpu(GPU))
        with Measurement(target, workers=1, trace=Path(folder)) as measurement:
            result = measurement.submit(config).result()
        if result.outcome.value != "completed":
            return Point(*point.key, result.outcome.value)
        (kernels,) = kernel_lists(trace_folder(Path(folder), config), config.batch * config.block_size)
        host = result.main.host_time
        assert host is not None
        found = estimate(kernels, Card.of(find_gpu(GPU)), host_seconds=host.median_s)
    largest = max(found.kinds, key=lambda each: each.share)
    return Point(
        *point.key,
        outcome="completed",
        step_ms=f"{found.seconds * 1e3:.1f}",
        card_ms=f"{found.card_seconds * 1e3:.1f}",
        host_ms=f"{(host.median_s or 0.0) * 1e3:.1f}",
        tokens_per_second=f"{found.tokens_per_second:.0f}",
        decided=found.decided_by,
        largest=f"{largest.kind.value} {largest.share:.0%}",
    )


def stored() -> dict[tuple[str, str, str, str], Point]:
    """Points that the file has."""
    if not FIGURES.exists():
        return {}
    with FIGURES.open(newline="") as file:
        return {point.key: point for point in (Point(**row) for row in csv.DictReader(file))}


def main() -> None:
    """Record, or draw."""
    if "--picture" in sys.argv[1:]:
        from curves_picture import draw

        draw(list(stored().values()))
        return
    known = stored()
    for asked in points():
        if asked.key in known:
            continue
        known[asked.key] = record(asked)
        print(known[asked.key], flush=True)
        rows = [asdict(known[each.key]) for each in points() if each.key in known]
        with FIGURES.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
