"""An 80 % interval around an estimate, from how published steps differed from the model.

Split conformal prediction on log(real / modelled), one score for each (source, card), so that many rows of
one run count once. Two quantiles, since reality is mostly slower than a model. Scores come from whole steps
that calibrated nothing; ``benchmarks/timing/validate.py`` writes them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

from nanocheck.core.kernels import KernelList
from nanocheck.core.step_time import Interval
from nanocheck.core.strict_text import parse_toml

FILE = Path(__file__).with_name("scores.toml")
LEVEL = 0.8
#: With fewer, the conformal quantile of 90 % is no score at all but infinity.
FEWEST = 9


def quantiles(scores: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """The conformal bounds of a further score; None where there are fewer than ``FEWEST``.

    Of n scores the k-th from either end, k = floor((n + 1) (1 - level) / 2): a further one of the same
    distribution lies outside with probability at most 1 - level (Vovk et al. 2005).
    """
    ordered = sorted(scores)
    if len(ordered) < FEWEST:
        return None
    k = max(1, math.floor((len(ordered) + 1) * (1 - level) / 2 + 1e-9))
    return ordered[k - 1], ordered[-k]


def kind_of(kernels: KernelList) -> str:
    """Steps whose errors are pooled: products in half precision or not. Finer groups have too few sources."""
    half = any(kernel.operations and kernel.dtype in {"bfloat16", "float16"} for kernel, _ in kernels)
    return "half" if half else "single"


def interval(seconds: float, kernels: KernelList, decided: str) -> tuple[Interval | None, str | None]:
    """The interval, or why there is none."""
    if decided == "host":
        return None, "the host decides, and other people's hosts say nothing of this one"
    pooled = kind_of(kernels)
    scores = [score for kind, _, _, score in load() if kind == pooled]
    found = quantiles(scores)
    if found is None:
        return None, (
            f"{len(scores)} published (source, card) pairs of {pooled} precision: an 80 % interval "
            f"needs {FEWEST}"
        )
    low, high = (seconds * math.exp(each) for each in found)
    return Interval(low=low, high=high, level=LEVEL, groups=len(scores)), None


@functools.cache
def load() -> tuple[tuple[str, str, str, float], ...]:
    """(kind of step, source, card, log of real / modelled), one for each group."""
    rows = parse_toml(FILE.read_bytes())["scores"] if FILE.exists() else []
    return tuple((row["kind"], row["source"], row["card"], float(row["score"])) for row in rows)
