"""``torch.nn.init.trunc_normal_`` from torch 2.14 on: a loop that draws again what fell outside its bounds.

Random numbers are nobody's here, and what reads as one may lie outside for ever. So its question is answered
as chance would: no, once fewer than half a number can be expected outside. That the loop runs more than once
on a real card is part of its memory: what it drew, and the old and the new result, are alive together.
"""

from __future__ import annotations

import math
import sys
from types import FrameType

import torch

#: Python frames between the question and the loop that asks it: modes such as ``with torch.device(...)``.
_BETWEEN = 6
#: Of the numbers, how many may still be expected outside when it ends.
_HALF = 0.5

_loop = getattr(getattr(torch.nn.init, "_no_grad_trunc_normal_", None), "__code__", None)
_asked_by: int | None = None
_times = 0


def outside() -> bool | None:
    """Whether a number that was drawn so far lies outside; ``None``: it is not this loop that asks."""
    global _asked_by, _times
    frame = _asking()
    if frame is None:
        return None
    if _asked_by != id(frame):
        _asked_by, _times = id(frame), 0
    _times += 1
    found = _numbers(frame) * _missed(frame) ** _times > _HALF
    if not found:
        _asked_by = None
    return found


def _asking() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_BETWEEN):
        if frame is None or _loop is None:
            return None
        if frame.f_code is _loop:
            return frame
        frame = frame.f_back
    return None


def _numbers(frame: FrameType) -> int:
    tensor = frame.f_locals.get("tensor")
    return tensor.numel() if isinstance(tensor, torch.Tensor) else 0


def _missed(frame: FrameType) -> float:
    """The share of one draw that lies outside, or is not accepted."""
    names = frame.f_locals
    try:
        inside = float(names["p"])
        if "mode" not in names:  # drawn from the normal distribution itself
            return min(max(1.0 - inside, 0.0), 1.0)
        mean, std, mode = (float(names[name]) for name in ("mean", "std", "mode"))
        # Drawn evenly between the bounds, accepted with the density's share of its peak.
        peak = math.exp(-0.5 * ((mode - mean) / std) ** 2)
        width = (float(names["b"]) - float(names["a"])) / std
        return min(max(1.0 - inside * math.sqrt(2 * math.pi) / (width * peak), 0.0), 0.99)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return 0.0
