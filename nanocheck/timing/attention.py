"""Seconds of fused attention, against a large product on the same card.

Its two products (five in the backward) leave the tensor units idle while exponentials and sums are computed.
Where the units run at half rate (GeForce), they take twice as long and the rest does not: the part that is
lost halves.
"""

from __future__ import annotations

from nanocheck.core.kernels import Attention
from nanocheck.timing.card import HALF, Card
from nanocheck.timing.constants import Constants
from nanocheck.timing.product import speed

#: Rows of queries that a block handles (FlashAttention-2 and PyTorch's memory-efficient kernels).
_BLOCK = 128
_SMALL_HEAD = 64


def attention_seconds(
    card: Card, attention: Attention, operations: float, dtype: str, constants: Constants
) -> float:
    """Without the launch, and without what memory needs."""
    large = speed(card, dtype, constants)
    rate = large * _fraction(card, attention, dtype, constants)
    if attention.causal:  # blocks that the diagonal cuts are computed whole
        operations *= 1 + _BLOCK / max(attention.keys, _BLOCK)
    blocks = attention.batch * attention.heads * -(-(attention.queries or 1) // _BLOCK)
    waves = -(-blocks // card.sms)
    # Few blocks leave multiprocessors idle; causal ones, short and long, fill the gaps themselves.
    idle = waves * card.sms / blocks if blocks < card.sms else 1.0
    return operations / rate * idle


def _fraction(card: Card, attention: Attention, dtype: str, constants: Constants) -> float:
    way = "backward" if attention.backward else "forward"
    if dtype not in HALF:
        return constants[f"attention_fp32_{way}"]
    found = constants.of(f"attention_{way}", card.generation)
    if card.half_rate:
        found = 1 / (1 + (1 / found - 1) / 2)
    return found * (constants[f"attention_head_64_{way}"] if attention.head <= _SMALL_HEAD else 1.0)
