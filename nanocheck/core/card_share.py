"""What the processes of one card may have of it together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class OnACard(Protocol):
    """What is read of a ``ProcessMemory``."""

    @property
    def card(self) -> int: ...
    @property
    def reserved_bytes(self) -> int: ...
    @property
    def process_bytes(self) -> int: ...
    @property
    def nccl_least_bytes(self) -> int: ...
    @property
    def nccl_most_bytes(self) -> int: ...
    @property
    def began_s(self) -> float | None: ...
    @property
    def ended_s(self) -> float | None: ...


@dataclass(frozen=True, kw_only=True)
class CardShare:
    """One of the machine's cards, from 0, and how many processes used it.

    Attributes:
        together_bytes: the most that those which used it at the same time may have had of it: the sum of
            their peaks, which need not have been at one moment. One whose end nobody saw lasts for ever.
        nccl_bytes: the least that NCCL took in all of them, which ``together_bytes`` counts, and the most.
    """

    card: int
    processes: int
    together_bytes: int
    nccl_bytes: tuple[int, int] = (0, 0)

    @property
    def nccl_spread_bytes(self) -> int:
        """What NCCL may have taken beside what ``together_bytes`` counts for it."""
        return self.nccl_bytes[1] - self.nccl_bytes[0]


def shares(processes: Sequence[OnACard], context_bytes: int) -> tuple[CardShare, ...]:
    """One for each card that was used, by number; ``context_bytes``: of a process that says none."""
    found: dict[int, list[OnACard]] = {}
    for each in processes:
        found.setdefault(each.card, []).append(each)
    return tuple(
        CardShare(
            card=card,
            processes=len(those),
            together_bytes=_together(those, context_bytes),
            nccl_bytes=(
                sum(each.nccl_least_bytes for each in those),
                sum(each.nccl_most_bytes for each in those),
            ),
        )
        for card, those in sorted(found.items())
    )


def fullest_card(processes: Sequence[OnACard], context_bytes: int) -> CardShare:
    """Of which most may be taken; ``processes``: at least one."""
    return max(
        shares(processes, context_bytes), key=lambda share: share.together_bytes + share.nccl_spread_bytes
    )


def _together(processes: Sequence[OnACard], context_bytes: int) -> int:
    spans = [
        (
            0.0 if each.began_s is None else each.began_s,
            math.inf if each.ended_s is None else each.ended_s,
            each.process_bytes or each.reserved_bytes + context_bytes,
        )
        for each in processes
    ]
    return max(sum(size for other, end, size in spans if other <= began <= end) for began, _, _ in spans)
