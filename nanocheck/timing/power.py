"""What a whole step leaves of the board's power to its products.

A controller holds the average of some milliseconds at the limit, and a step's kernels are shorter: while
memory moves bytes and tensor units rest, the board draws less, and products run above what they could
sustain alone. The watts that products may draw are those with which the step's average meets the limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nanocheck.core.kernels import Kernel
from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constants
from nanocheck.timing.kernel_time import computing_seconds
from nanocheck.timing.product import issue, joules_each

#: Halvings of the interval in which the watts lie; the last is a ten-thousandth of the rated power.
_ROUNDS = 16
_MOST = 4.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """A kernel as power sees it. ``moving``: seconds of its bytes; ``resting``: of its launches."""

    kernel: Kernel
    moving: float
    resting: float


def fed(card: Card, loads: Iterable[tuple[Load, int]], constants: Constants) -> Card:
    """The card as products find it in this step: its ``tgp_w`` is what feeds them, idle power included.

    ``loads`` with how often each runs in a step.
    """
    computing: dict[Kernel, tuple[Kernel, list[tuple[float, int]]]] = {}
    fixed_seconds = fixed_joules = 0.0
    byte = constants["energy_byte hbm" if card.memory == "hbm" else "energy_byte gddr"] * 1e-12
    for load, times in loads:
        kernel = load.kernel
        fixed_seconds += load.resting * times
        fixed_joules += (kernel.read + kernel.written) * byte * times
        if kernel.operations:
            bare = Kernel(
                kind=kernel.kind, name="", phase="", dtype=kernel.dtype, operations=kernel.operations,
                product=kernel.product, attention=kernel.attention,
            )  # fmt: skip
            computing.setdefault(bare, (bare, []))[1].append((load.moving, times))
        else:
            fixed_seconds += load.moving * times
    budget = (1 - constants["idle_power"]) * card.tgp_w

    def excess(factor: float) -> float:
        """Joules above what the board may draw in that time."""
        tried = replace(card, tgp_w=card.tgp_w * factor)
        seconds, joules = fixed_seconds, fixed_joules
        for bare, runs in computing.values():
            alone = computing_seconds(tried, bare, constants)
            once = bare.operations * joules_each(tried, bare.dtype, constants)
            for moving, times in runs:
                seconds += max(alone, moving) * times
                joules += once * times
        return joules - budget * seconds

    dtypes = {bare.dtype for bare in computing}
    watts = max(
        (
            issue(card, each, constants) * joules_each(replace(card, tgp_w=1e9), each, constants)
            for each in dtypes
        ),
        default=0.0,
    )
    if watts <= budget:
        return card
    low, high = 1.0, min(_MOST, watts / budget)
    if excess(high) <= 0:
        return replace(card, tgp_w=card.tgp_w * high)
    if excess(low) >= 0:
        return card
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return replace(card, tgp_w=card.tgp_w * low)
