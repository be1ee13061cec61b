"""What a board draws while it trains: a share of its limit, by what people read from nvidia-smi.

Energy counted from operations and bytes (``timing.power``) says which kernels meet the limit, but not what a
board draws below it: on GeForce cards it comes out at half of what was read. So the readings decide.
"""

from __future__ import annotations

import statistics

from msgspec.structs import replace

from nanocheck.core.kernels import KernelKind
from nanocheck.core.step_time import StepTime
from nanocheck.timing import constants as shipped
from nanocheck.timing.constants import Constants
from nanocheck.timing.estimate import bottleneck

#: Card -> what was read while it trained at full load, of its rated power, both in watts. None of them
#: calibrates the model of time.
READ = {
    "rtx5090": ((500, 520, 560, 575), 575),  # yxanul/yxanul_0.6B, GPT-2-like, by hand, bf16 and fp8
    "h100": ((540, 550), 700),  # bf16 training, trace of 100 ms (grantwilkins)
    # Pytorch_GPU_Benchmark's README: "typical, while training", ResNet-18 in fp16 and fp32, by hand
    "rtx2060": ((165, 165), 160),
    "rtx3080": ((240, 250, 320, 336), 320),
    "rtx4060": ((100, 100), 115),
    "rtx4070": ((200, 200, 200), 200),
}
_SHARES = sorted(statistics.median(read) / rated for read, rated in READ.values())
#: Of the limit: the least of these cards, the median and the most, which no limit lets pass.
LOW, MEDIAN, HIGH = _SHARES[0], statistics.median(_SHARES), min(1.0, _SHARES[-1])

_COMPUTING = {KernelKind.PRODUCT, KernelKind.ATTENTION}
#: Of the watts between rest and full load; below it a board would hardly run.
_LEAST = 0.02


def board_watts(
    step: StepTime, limit_w: float, share: float = MEDIAN, *, constants: Constants | None = None
) -> float:
    """Average of an optimizer step, in watts.

    Args:
        limit_w: that the board may draw.
        share: of the limit while the card computes; while it waits for the host it rests.
    """
    if step.seconds <= 0:
        return 0.0
    rest = (constants or shipped.load())["idle_power"]
    busy = min(1.0, step.card_seconds / step.seconds)
    return float(limit_w * (rest + (share - rest) * busy))


def under_limit(step: StepTime, rated_w: float, limit_w: float) -> StepTime:
    """A step of a board whose owner, or whose laptop's maker, has lowered its limit; modelled.

    At the rated limit a board draws ``MEDIAN`` of it; what lies below takes clocks, and with them the speed
    of products and attention, by a power of the watts that are left (``power_exponent``, six limits of one
    card). What memory decides stays as it is: its clock does not follow.
    """
    known = shipped.load()
    rest = known["idle_power"] * rated_w
    left = (limit_w - rest) / (MEDIAN * rated_w - rest)
    if left >= 1:
        return step
    slower = max(left, _LEAST) ** -known["power_exponent"]
    kinds = [
        replace(each, seconds=each.seconds * (slower if each.kind in _COMPUTING else 1.0))
        for each in step.kinds
    ]
    busy = sum(each.seconds for each in kinds)
    more = busy - sum(each.seconds for each in step.kinds)
    if not step.seconds:
        return step
    seconds = max(step.seconds, step.card_seconds + more)
    factor = seconds / step.seconds
    slowed = tuple(replace(each, share=each.seconds / (busy or 1.0)) for each in kinds)
    decided = "card" if step.decided_by == "floor" or factor > 1 else step.decided_by
    around = step.interval
    return replace(
        step,
        seconds=seconds,
        card_seconds=step.card_seconds + more,
        tokens_per_second=None if step.tokens_per_second is None else step.tokens_per_second / factor,
        mfu_exact=step.mfu_exact / factor,
        mfu_palm=None if step.mfu_palm is None else step.mfu_palm / factor,
        parts=tuple(replace(each, seconds=each.seconds * factor) for each in step.parts),
        kinds=slowed,
        decided_by=decided,
        bottleneck=bottleneck(decided, slowed, seconds, step.card_seconds + more),
        interval=around and replace(around, low=around.low * factor, high=around.high * factor),
    )
