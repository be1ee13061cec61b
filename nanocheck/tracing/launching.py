"""Which operators launch kernels themselves: those of the card that are not made of others that do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from nanocheck.tracing import attention, products
from nanocheck.tracing.generated import RANGE
from nanocheck.tracing.operators import Operator, tensors

#: Have a kernel of the card by name, and only make views, memory or numbers of the host.
_NO_WORK = frozenset(
    [
        "empty",
        "empty_strided",
        "empty_like",
        "new_empty",
        "new_empty_strided",
        "empty_permuted",
        "view",
        "as_strided",
        "as_strided_",
        "transpose",
        "t",
        "expand",
        "reshape",
        "slice",
        "unsqueeze",
        "squeeze",
        "squeeze_",
        "select",
        "detach",
        "detach_",
        "alias",
        "_unsafe_view",
        "resize_",
        "resize_as_",
        "set_",
        "permute",
        "lift_fresh",
        "lift",
        "is_pinned",
        "narrow",
        "split",
        "split_with_sizes",
        "chunk",
        "unbind",
        "_reshape_alias",
        "view_as",
        "expand_as",
        "record_stream",
        "is_nonzero",
        "result_type",
        "unfold",
        "diagonal",
        "is_set_to",
        "_fused_sdp_choice",
        "_efficientzerotensor",
        "pin_memory",
        "_pin_memory",
        "unsafe_split",
        "view_as_real",
        "view_as_complex",
        "_nested_tensor_size",
        "is_same_size",
        "_lazy_clone",
        "_resize_output_",
        "requires_grad_",
        "_has_compatible_shallow_copy_type",
    ]
)
#: Launch kernels of their own beside those of the operators they call.
_BOTH = frozenset(
    [
        "embedding_dense_backward",
        "nll_loss_backward",
        "nll_loss2d_backward",
        "_foreach_norm",
        "cat",
        "_index_put_impl_",
        "convolution_backward",
        "topk",
        "sort",
        "_fused_dropout",
    ]
)


def launching(
    operators: Sequence[Operator], of_the_card: Collection[str], *, begin: int = 0
) -> Iterator[Operator]:
    """Those that launch, generated kernels among them, in order.

    Args:
        of_the_card: overloads with a kernel of their own.
    """
    above = {each.id: each.parent for each in operators}
    #: Operators below which something launches.
    parents: set[int] = set()
    #: Operators below which something multiplies: their own product is that one.
    multiplied: set[int] = set()
    chosen: set[int] = set()
    for each in reversed(operators):  # what is called comes after who called it
        # A product may copy an operand first, such as the gradient of a sum, which has no strides.
        product = products.product_of(each) is not None and each.id not in multiplied
        if _launches(each, of_the_card) and (each.id not in parents or product or _is_both(each)):
            chosen.add(each.id)
        if each.id in chosen or each.id in parents:
            parents.add(above[each.id])
        if each.id in multiplied or (product and each.id in chosen):
            multiplied.add(above[each.id])
    outer = {each.id for each in operators if not attention.is_inner(each) and attention.attention_of(each)}
    for each in operators:
        if each.id in chosen and not (attention.is_inner(each) and each.parent in outer):
            yield each


def _is_both(operator: Operator) -> bool:
    return operator.short in _BOTH or attention.attention_of(operator) is not None


def _launches(operator: Operator, of_the_card: Collection[str]) -> bool:
    if operator.name.startswith(RANGE):
        return True
    if not operator.schema or operator.short in _NO_WORK:
        return False
    if operator.overload not in of_the_card:
        return False
    return any(True for _ in tensors((*operator.arguments, *operator.results)))
