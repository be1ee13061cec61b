"""Time as CUDA events tell it, and as the host's clock does. Imports torch only."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch


class CardStopwatch:
    """By CUDA events between calls that are issued without a wait: the card has no pause to cool down in."""

    def readings(self, call: Callable[[], Any], calls: int, count: int) -> Sequence[float]:
        make: Callable[..., Any] = torch.cuda.Event  # has no types
        events = [make(enable_timing=True) for _ in range(count + 1)]
        events[0].record()
        for event in events[1:]:
            for _ in range(calls):
                call()
            event.record()
        torch.cuda.synchronize()
        pairs = itertools.pairwise(events)
        return [one.elapsed_time(other) / 1000 / calls for one, other in pairs]

    def issue(self, call: Callable[[], Any], calls: int) -> float | None:
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(calls):
            call()
        lasted = time.perf_counter() - began
        torch.cuda.synchronize()
        return lasted / calls


class HostStopwatch:
    """By the host's clock, from an idle card on; waiting for the card is timed only where the call waits."""

    def readings(self, call: Callable[[], Any], calls: int, count: int) -> Sequence[float]:
        found = []
        # More launches than the queue holds would wait for the card.
        calls_at_once = min(calls, 500)
        for _ in range(count):
            lasted, left = 0.0, calls
            while left > 0:
                now = min(left, calls_at_once)
                torch.cuda.synchronize()
                began = time.perf_counter()
                for _ in range(now):
                    call()
                lasted += time.perf_counter() - began
                left -= now
            torch.cuda.synchronize()
            found.append(lasted / calls)
        return found

    def issue(self, call: Callable[[], Any], calls: int) -> float | None:
        return None
