"""Fused attention: sizes and operations of ``scaled_dot_product_attention``'s kernels."""

from __future__ import annotations

import re

from nanocheck.core.kernels import Attention
from nanocheck.tracing.operators import Operator, Tensor, arguments_of

_OUTER = re.compile(
    r"_scaled_dot_product_(?:fused_attention_overrideable|(flash|efficient|cudnn)_attention)(_backward)?$"
)
_INNER = re.compile(r"_(flash|efficient|cudnn)_attention_(forward|backward)$")
#: Products of the size queries x keys x head: the scores and the mix of values; backward computes the scores
#: again, and has two for each of these.
_FORWARD, _BACKWARD = 2, 5


def is_inner(operator: Operator) -> bool:
    """Whether it is what the operator around it calls for the same kernels."""
    return _INNER.match(operator.short) is not None


def attention_of(operator: Operator) -> Attention | None:
    """What it looks at; ``None`` for any other operator, also for sequences packed into one tensor."""
    outer, inner = _OUTER.match(operator.short), _INNER.match(operator.short)
    if not (outer or inner):
        return None
    given = _by_name(operator)
    query, key = given.get("query"), given.get("key")
    if not isinstance(query, Tensor) or not isinstance(key, Tensor):
        return None
    if len(query.shape) != 4 or len(key.shape) != 4:
        return None
    matched = outer or inner
    assert matched is not None
    # The inner ones take sequences before heads.
    heads_at, length_at = (1, 2) if outer else (2, 1)
    mask = given.get("attn_bias") or given.get("attn_mask") or given.get("bias")
    causal = given.get("is_causal", False)
    if "custom_mask_type" in given:
        causal = bool(given["custom_mask_type"])
    return Attention(
        backend=matched.group(1) or "flash",
        batch=query.shape[0],
        heads=query.shape[heads_at],
        key_heads=key.shape[heads_at],
        queries=query.shape[length_at],
        keys=key.shape[length_at],
        head=query.shape[3],
        causal=bool(causal),
        masked=isinstance(mask, Tensor),
        backward="backward" in operator.short,
    )


def _by_name(operator: Operator) -> dict[str, object]:
    # A tensor's own name is the last word before its default.
    names = [each.split("=", 1)[0].split()[-1] for each in arguments_of(operator.schema) if each != "*"]
    return dict(zip(names, operator.arguments, strict=False))


def operations(attention: Attention) -> float:
    """Of the products; the half that a causal mask hides left out."""
    products = _BACKWARD if attention.backward else _FORWARD
    whole = 2.0 * attention.batch * attention.heads * attention.queries * attention.keys * attention.head
    return products * whole * (0.5 if attention.causal else 1.0)


def own_launches(attention: Attention) -> int:
    """Kernels of its own: flash's backward prepares, computes and converts; the others launch one, beside
    what they call of PyTorch's other operators."""
    return 3 if attention.backward and attention.backend == "flash" else 1
