"""The recorded step of one process as a list of its kernels."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from msgspec.structs import replace

from nanocheck.core.errors import StoredDataError
from nanocheck.core.kernels import Kernel, KernelKind, KernelList, Part
from nanocheck.tracing import attention, kinds, products
from nanocheck.tracing.generated import RANGE, generated, number
from nanocheck.tracing.launching import launching
from nanocheck.tracing.moved_bytes import touched_by
from nanocheck.tracing.operators import Operator, Tensor, read_operators, tensors
from nanocheck.tracing.phases import stretches
from nanocheck.tracing.record import StepRecord, recorded
from nanocheck.tracing.tokens import tokens_of


def kernel_lists(folder: Path, tokens: int | None = None) -> list[KernelList]:
    """Of every process that recorded a step in this folder.

    Raises:
        StoredDataError: a file is damaged.
    """
    return [kernel_list(record, trace, tokens) for record, trace in recorded(folder)]


def kernels_of_process(folder: Path, pid: int | None) -> KernelList | None:
    """Of one process of a run; ``None`` where it recorded no step, or its files are damaged."""
    try:
        return next((kernel_list(*each) for each in recorded(folder, "*" if pid is None else str(pid))), None)
    except StoredDataError:
        return None


def kernel_list(record: StepRecord, trace: Path, tokens: int | None = None) -> KernelList:
    """
    Args:
        tokens: that the step trains on; ``None``: what its forwards look up.

    Raises:
        StoredDataError: the trace is damaged.
    """
    operators = read_operators(trace)
    pointers = _pointers(operators)
    parts = []
    for stretch in stretches(operators, list(launching(operators, record.operators))):
        kernels = [
            kernel
            for each, phase in stretch.ranges
            for kernel in _kernels(each, phase, record, pointers.get(each.id, []))
        ]
        parts.append(Part(name=stretch.name, kernels=tuple(kernels), times=stretch.times))
    no_tokens = None
    if tokens is None:
        tokens, no_tokens = tokens_of(operators, record, pointers, parts)
    return KernelList(
        parts=tuple(parts),
        torch=record.torch,
        capability=record.capability,
        compiled=bool(record.generated),
        tokens=tokens,
        no_tokens=no_tokens,
        parameters=record.parameters or None,
    )


def _pointers(operators: list[Operator]) -> dict[int, list[int]]:
    """The storages of each generated kernel's pointers: a view of each was made inside its range."""
    ranges = {each.id for each in operators if each.name.startswith(RANGE)}
    found = defaultdict(list)
    for each in operators:
        if each.parent in ranges and each.name == "aten::detach" and isinstance(each.arguments[0], Tensor):
            found[each.parent].append(each.arguments[0].storage)
    return found


def _kernels(operator: Operator, phase: str, record: StepRecord, storages: list[int]) -> list[Kernel]:
    if operator.name.startswith(RANGE):
        index = number(operator.name)
        if index >= len(record.generated):
            raise StoredDataError(f"expected {len(record.generated)} generated kernels, found number {index}")
        return [generated(record.generated[index], storages, phase)]
    touched = touched_by(operator)
    kernel = Kernel(
        kind=KernelKind.ELEMENTWISE,
        name=operator.short,
        phase=phase,
        dtype=_dtype(operator),
        read=sum(each.size for each in touched if each.read),
        written=sum(each.size for each in touched if each.written),
        touched=touched,
    )
    product, looks = products.product_of(operator), attention.attention_of(operator)
    if product is not None:
        dtype = "tf32" if record.tf32 and kernel.dtype == "float32" else kernel.dtype
        operations = products.operations(product)
        return [replace(kernel, kind=KernelKind.PRODUCT, dtype=dtype, product=product, operations=operations)]
    if looks is not None:
        return [
            replace(
                kernel,
                kind=KernelKind.ATTENTION,
                attention=looks,
                operations=attention.operations(looks),
                launches=attention.own_launches(looks),
            )
        ]
    kind = kinds.kind_of(operator)
    kernel = replace(kernel, kind=kind, launches=kinds.launches_of(operator, record.multi_tensor))
    if _waits_for_copy(operator, kind):
        return [
            kernel,
            Kernel(kind=KernelKind.WAIT, name="copy_", phase=phase, dtype=kernel.dtype, launches=0),
        ]
    return [kernel]


def _waits_for_copy(operator: Operator, kind: KernelKind) -> bool:
    """A copy to the host is waited for unless it was asked not to."""
    if kind != KernelKind.TRANSFER or not isinstance(operator.arguments[0], Tensor):
        return False
    asked = operator.arguments[2] if len(operator.arguments) > 2 else False
    return not operator.arguments[0].on_card and asked is not True


def _dtype(operator: Operator) -> str:
    seen = [each.dtype for each in tensors((*operator.arguments, *operator.results))]
    return next((each for each in seen if "float" in each), seen[0] if seen else "")
