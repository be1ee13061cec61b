"""Of which kind an operator is, and how many kernels it launches beside those of the operators it calls."""

from __future__ import annotations

import re

from nanocheck.core.kernels import KernelKind
from nanocheck.tracing import multi_tensor
from nanocheck.tracing.moved_bytes import ADD, CHOOSE
from nanocheck.tracing.operators import Operator, Tensor, tensors
from nanocheck.tracing.record import MultiTensor

_NORM = re.compile(r"(native_|_fused_|cudnn_)?(layer|group|batch|rms)_norm(_backward)?$")
_SOFTMAX = re.compile(r"_(log_)?softmax(_backward_data)?$|nll_loss")
_REDUCTIONS = frozenset(
    [
        "sum",
        "mean",
        "amax",
        "amin",
        "max",
        "min",
        "argmax",
        "argmin",
        "norm",
        "linalg_vector_norm",
        "logsumexp",
        "var",
        "std",
        "var_mean",
        "any",
        "all",
        "prod",
        "cumsum",
        "nansum",
        "aminmax",
        "count_nonzero",
    ]
)
#: The host waits until the value is there.
_WAITS = frozenset(
    ["_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "unique_consecutive", "masked_select"]
)
#: By what was counted on the virtual GPU with torch 2.14; tests/tracing compares whole steps.
_LAUNCHES = {
    **dict.fromkeys(("native_layer_norm_backward", "native_batch_norm_backward"), 2),
    **{"_fused_rms_norm_backward": 1, "_local_scalar_dense": 0, "convolution_backward": 2},
}
#: Above so many indices PyTorch sorts them first (ATen/native/cuda/Embedding.cu).
_SORTED_FROM, _SORTING = 3072, 15


def kind_of(operator: Operator) -> KernelKind:
    """Of anything but products and attention."""
    name = operator.short
    if name in _WAITS:
        return KernelKind.WAIT
    if name == "copy_" and not all(
        each.on_card for each in operator.arguments[:2] if isinstance(each, Tensor)
    ):
        return KernelKind.TRANSFER
    if name.startswith(("_foreach", "_fused_ada", "_fused_sgd", "_amp_foreach")):
        return KernelKind.OPTIMIZER
    if _NORM.match(name):
        return KernelKind.NORM
    if _SOFTMAX.match(name):
        return KernelKind.SOFTMAX
    if name in CHOOSE or name in ADD:
        return KernelKind.GATHER
    return KernelKind.REDUCTION if name in _REDUCTIONS else KernelKind.ELEMENTWISE


def launches_of(operator: Operator, limits: MultiTensor) -> int:
    """Its own, not those of the operators that it calls and that launch themselves."""
    name = operator.short
    if name.startswith(("_foreach", "_fused_ada", "_fused_sgd", "_amp_foreach")):
        return _of_lists(operator, limits)
    if name == "embedding_dense_backward":
        index = operator.arguments[1]
        return _SORTING if isinstance(index, Tensor) and index.elements > _SORTED_FROM else 1
    return _LAUNCHES.get(name, 1)


def _of_lists(operator: Operator, limits: MultiTensor) -> int:
    lists = [each for each in operator.arguments if isinstance(each, tuple)]
    lists = [each for each in lists if len(each) == len(lists[0])]
    if not lists:
        return 1
    depth = len(lists)
    if operator.short.startswith("_fused_"):
        # The steps stand in a list of their own, beside those of tensors to work on.
        depth -= all(each.elements == 1 for each in lists[-1])
    if not operator.short.endswith("_") and operator.short != "_foreach_norm":
        depth += 1  # the results
    scalars = ".ScalarList" in operator.overload or ".Scalars" in operator.overload
    elements = [each.elements for each in tensors(lists[0])]
    found = multi_tensor.launches(elements, depth, limits, scalars=scalars)
    # The norms of a tensor's chunks are added up by one launch more.
    return found + (operator.short == "_foreach_norm")
