"""How long an optimizer step would take on a card: the answer of the model of time."""

from __future__ import annotations

import msgspec

from nanocheck.core.kernels import KernelKind
from nanocheck.core.result import Provenance


class KindTime(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of kernels: ``seconds`` on the card in a step, and its share of the card's time."""

    kind: KernelKind
    seconds: float
    share: float
    launches: int


class PartTime(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a step: seconds of one run of it, steady; ``times`` a step."""

    name: str
    seconds: float
    times: int


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; ``level`` is the share of real steps that it should hold, ``groups`` the (source, card) pairs
    whose published steps it was read from."""

    low: float
    high: float
    level: float
    groups: int


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer step; seconds throughout.

    Attributes:
        gpu: id of the card.
        seconds: the estimate: the card's queue with the host that was given, never below ``floor``.
        card_seconds: what the card computes, if it never waits for the host.
        host_seconds: of a step, measured by the caller; None where it was not, and then left out.
        tokens_per_second: None where the step's tokens are not known.
        operations: exact, of products and attention (what a causal mask hides left out).
        floor_operations, floor_memory: operations at the data sheet's dense peak of their dtypes; bytes that
            L2 cannot hold at the data sheet's bandwidth. ``floor`` is the larger.
        mfu_exact: ``floor_operations`` of ``seconds``: the share of the peak that the exact operations reach.
        mfu_palm: the same with PaLM's count, 6 N + 12 L H Q T a token (Chowdhery et al. 2022, appendix B),
            its attention term for fused attention alone; None where parameters or tokens are not known.
        decided_by: card, host or floor.
        bottleneck: one sentence.
        interval: of 80 %; None where too few groups support one, and ``no_interval`` says why.
    """

    gpu: str
    seconds: float
    card_seconds: float
    host_seconds: float | None
    tokens_per_second: float | None
    operations: float
    floor_operations: float
    floor_memory: float
    mfu_exact: float
    mfu_palm: float | None
    parts: tuple[PartTime, ...]
    kinds: tuple[KindTime, ...]
    decided_by: str
    bottleneck: str
    interval: Interval | None
    no_interval: str | None
    provenance: Provenance = Provenance.MODELLED

    @property
    def floor(self) -> float:
        """No card of these figures is faster."""
        return max(self.floor_operations, self.floor_memory)
