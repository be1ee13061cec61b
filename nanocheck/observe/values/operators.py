"""Operators of PyTorch over integers and booleans that are computed where their inputs are known.

Names of ``torch.ops.aten``; every overload with a CUDA kernel of its own is meant, in place and with
``out=`` too. Composite operators (``clone``, ``diff``, ``stack``, ``one_hot``, ``argwhere``, ...) are made
of these. Views need nothing: they show the same memory.
"""

from __future__ import annotations

#: Answers are booleans or indices whatever the inputs are, known floating-point numbers too.
PREDICATES = (
    "eq", "ne", "lt", "le", "gt", "ge",
    "logical_and", "logical_or", "logical_xor", "logical_not",
    "any", "all", "isin", "count_nonzero",
)  # fmt: skip

ARITHMETIC = (
    "add", "sub", "rsub", "mul", "div", "floor_divide", "remainder", "fmod", "neg", "abs", "sign",
    "clamp", "clamp_min", "clamp_max", "maximum", "minimum", "gcd", "lcm",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not",
    "bitwise_left_shift", "bitwise_right_shift", "__lshift__", "__rshift__",
)  # fmt: skip

REDUCTIONS = (
    "sum", "prod", "max", "min", "amax", "amin", "aminmax", "argmax", "argmin", "cumsum", "cumprod",
)  # fmt: skip
#: Their one CUDA kernel is a helper that is handed what it writes: the whole is computed.
COMPOSITES = ("cummax", "cummin")

MOVES = (
    "cat", "where", "index", "index_select", "gather", "take", "masked_fill", "masked_scatter",
    "masked_select", "scatter", "scatter_add", "scatter_reduce",
    "index_add", "index_copy", "index_fill", "_index_put_impl",
    "roll", "flip", "tril", "triu", "sort", "topk", "searchsorted", "bucketize", "bincount",
    "repeat_interleave",
)  # fmt: skip

FACTORIES = ("arange", "eye", "tril_indices", "triu_indices")

#: Their overloads that begin with a number: ``scalars_on_card``. ``pow`` does the same, and is not computed.
SCALARS_ON_CARD = ("searchsorted", "bucketize", "isin")

FUNCTIONS = (*PREDICATES, *ARITHMETIC, *REDUCTIONS, *MOVES, *FACTORIES)

#: What they overwrite need not have been known. ``zero_`` is a ``fill_``.
WRITES = ("copy_", "fill_")

#: They keep what stood there, and what they add nobody has written.
GROWS = ("resize_",)

#: They write what nobody computes, and no parameter of their kernels says where.
SPOILS = ("random_", "bernoulli_", "geometric_", "put_", "index_reduce_")

#: The size of the result hangs on values: ``unknown_sizes`` answers what PyTorch reads back for it.
SIZED = ("nonzero", "_unique2", "unique_dim", "unique_consecutive")
