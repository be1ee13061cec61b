"""Matrix products and convolutions: operations from the shapes of what is multiplied."""

from __future__ import annotations

import math

from nanocheck.core.kernels import Product
from nanocheck.tracing.operators import Operator, Tensor

#: Each with the positions of its two factors.
_FACTORS = {
    **dict.fromkeys(("mm", "bmm", "_scaled_mm", "_int_mm", "_grouped_mm", "dot", "mv"), (0, 1)),
    **dict.fromkeys(("addmm", "addmm_", "baddbmm", "baddbmm_", "_addmm_activation", "addmv"), (1, 2)),
}
_CONVOLUTIONS = ("cudnn_convolution", "_conv_depthwise2d", "convolution_overrideable", "slow_conv2d_forward")


def product_of(operator: Operator) -> Product | None:
    """What it multiplies; ``None`` for any other operator."""
    name = operator.short
    if name in _FACTORS:
        first, second = (operator.arguments[each] for each in _FACTORS[name])
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return _of_shapes(first.shape, second.shape)
    if name in _CONVOLUTIONS:
        result = next((each for each in operator.results if isinstance(each, Tensor)), None)
        weight = operator.arguments[1]
        if isinstance(weight, Tensor) and result is not None:
            return _convolution(weight.shape, result.shape)
    if name == "convolution_backward":
        gradient, weight = operator.arguments[0], operator.arguments[2]
        if isinstance(gradient, Tensor) and isinstance(weight, Tensor):
            asked = operator.arguments[-1]  # gradients of the input, the weight, the bias
            times = sum(map(bool, asked[:2])) if isinstance(asked, list) else 2
            return _convolution(weight.shape, gradient.shape, times)
    return None


def _of_shapes(first: tuple[int, ...], second: tuple[int, ...]) -> Product:
    m = first[-2] if len(first) > 1 else 1
    n = second[-1] if len(second) > 1 else 1
    batch = max((shape[0] for shape in (first, second) if len(shape) == 3), default=1)
    if len(first) != len(second) and batch > 1:  # grouped: each row meets one of the matrices
        return Product(m=m if len(first) == 2 else m * batch, n=n, k=first[-1])
    return Product(m=m, n=n, k=first[-1], batch=batch)


def _convolution(weight: tuple[int, ...], result: tuple[int, ...], times: int = 1) -> Product:
    """As a product: a row for each place of the result, a column for each of its channels."""
    places = result[0] * math.prod(result[2:])
    return Product(m=places, n=weight[0], k=math.prod(weight[1:]), batch=times)


def operations(product: Product) -> float:
    """A multiply and an add are two."""
    return 2.0 * product.batch * product.m * product.n * product.k
