"""What an operator reads and writes: each input and output once, of tables only the rows it looks at."""

from __future__ import annotations

from collections.abc import Iterable

from nanocheck.core.kernels import Touched
from nanocheck.tracing.operators import Operator, Tensor, tensors, written_arguments

#: Write their first argument without reading it.
_OVERWRITE = frozenset(
    [
        "copy_",
        "fill_",
        "zero_",
        "normal_",
        "uniform_",
        "random_",
        "bernoulli_",
        "exponential_",
        "_foreach_copy_",
    ]
)
#: Rows of the first argument, chosen by an index: as many bytes as come out of it.
CHOOSE = frozenset(["embedding", "index_select", "gather", "index", "take", "take_along_dim"])
#: Rows of a table, chosen by an index, that a gradient is added to.
ADD = frozenset(
    [
        "embedding_dense_backward",
        "index_add_",
        "index_add",
        "scatter_add_",
        "scatter_add",
        "scatter_",
        "scatter",
        "_index_put_impl_",
        "index_put_",
        "index_copy_",
        "scatter_reduce_",
        "index_fill_",
    ]
)
#: The least that memory moves for a single element that lies alone: a sector of L2.
SECTOR = 32
#: Read or write one element in each row.
_ONE_OF_A_ROW = frozenset(
    ["nll_loss_forward", "nll_loss2d_forward", "nll_loss_backward", "nll_loss2d_backward"]
)


def touched_by(operator: Operator) -> tuple[Touched, ...]:
    """The storages, each part once."""
    name = operator.short
    changed = written_arguments(operator.schema)
    written = [each for position, _ in changed for each in _at(operator, position)]
    unread = {
        position for position, also_read in changed if not also_read or (name in _OVERWRITE and position == 0)
    }
    read = [
        each
        for position, value in enumerate(operator.arguments)
        if position not in unread
        for each in tensors((value,))
    ]
    written += [] if changed else list(tensors(operator.results))
    if name in CHOOSE:
        return _merged(_chosen(read, written), written)
    if name in ADD:
        return _merged(*_added(read, written))
    if name in _ONE_OF_A_ROW:
        return _merged(*_one_of_a_row(name, read, written))
    return _merged([(each, each.bytes) for each in read], written)


def _at(operator: Operator, position: int) -> Iterable[Tensor]:
    return tensors(operator.arguments[position : position + 1])


Part = tuple[Tensor, int]


def _chosen(read: list[Tensor], written: list[Tensor]) -> list[Part]:
    came = sum(each.bytes for each in written)
    return [(each, min(each.bytes, came) if index == 0 else each.bytes) for index, each in enumerate(read)]


def _added(read: list[Tensor], written: list[Tensor]) -> tuple[list[Part], list[Tensor] | list[Part]]:
    given = [each for each in read if all(each.storage != out.storage for out in written)]
    rows = max((each.bytes for each in given if "int" not in each.dtype), default=0)
    tables = [(each, min(each.bytes, rows)) for each in written]
    return [(each, each.bytes) for each in given] + tables, tables


def _one_of_a_row(
    name: str, read: list[Tensor], written: list[Tensor]
) -> tuple[list[Part], list[Tensor] | list[Part]]:
    targets = [each for each in read if each.dtype == "int64"]
    rows = sum(each.elements for each in targets)
    backward = name.endswith("backward")
    index = [(each, each.bytes) for each in targets]
    if backward:
        return index, [(each, min(each.bytes, rows * SECTOR)) for each in written]
    return index + [(each, min(each.bytes, rows * SECTOR)) for each in read[:1]], written


def _merged(read: list[Part], written: Iterable[Tensor | Part]) -> tuple[Touched, ...]:
    found: dict[tuple[int, int, int], Touched] = {}
    wrote = [(each, each.bytes) if isinstance(each, Tensor) else each for each in written]
    for parts, is_read in ((read, True), (wrote, False)):
        for tensor, size in parts:
            key = (tensor.storage, tensor.offset, size)
            known = found.get(key)
            found[key] = Touched(
                storage=tensor.storage,
                size=size,
                read=is_read or (known is not None and known.read),
                written=not is_read or (known is not None and known.written),
            )
    return tuple(each for each in found.values() if each.size)
