"""How many tokens a step trains on: the indices that its forwards look up in the table of token embeddings.

Padding is among them, as in what scripts print. Of the tables the one with the widest rows counts, and of
several the one that is asked for most: positions and segments are looked up at most as often, and a bias by
distance has one number for each head.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nanocheck.core.kernels import Kernel, KernelKind, Part
from nanocheck.tracing.generated import RANGE, number
from nanocheck.tracing.operators import Operator, Tensor
from nanocheck.tracing.phases import stretches
from nanocheck.tracing.record import Launch, StepRecord

_INTEGERS = ("int64", "int32")
#: Of the forward's operations, a product over tokens has at least this share.
_SHARE = 0.05
NO_TABLE = "its forwards look up no table of embeddings that the recording shows"
OTHER_ROWS = "what it looks up in tables are not the rows that it multiplies"


@dataclass(frozen=True)
class Lookup:
    """One operator's look into a table.

    Attributes:
        table: its storage.
        size: elements of one of its rows; of the whole table where generated code reads it.
        index: the storage of the indices, ``count`` of them.
        by: of generated kernels the name: several of one forward can read the same rows.
        sequences: whether the indices are known to be rows of several.
        times: that it happens in a step.
    """

    table: int
    size: int
    index: int
    count: int
    by: str
    sequences: bool
    times: int


def tokens_of(
    operators: Sequence[Operator],
    record: StepRecord,
    pointers: Mapping[int, Sequence[int]],
    parts: Iterable[Part],
) -> tuple[int | None, str | None]:
    """The tokens of a step; without them, why.

    Args:
        pointers: storages of each generated kernel's pointers, by its range.
        parts: of the list of kernels.
    """
    asked = [each for each in operators if each.overload == "aten::embedding" or each.name.startswith(RANGE)]
    eager, compiled = [], []
    for stretch in stretches(operators, asked):
        for each, phase in stretch.ranges:
            if phase != "forward":
                continue
            if each.name.startswith(RANGE):
                launch = record.generated[number(each.name)]
                compiled += _generated(launch, pointers.get(each.id, ()), stretch.times)
            else:
                eager += _embedding(each, stretch.times)
    lookups = _of_one_table(eager or compiled)
    if not lookups:
        return None, NO_TABLE
    rows = _rows(kernel for part in parts for kernel in part.kernels)
    if not all(each.sequences or each.count in rows for each in lookups):
        return None, OTHER_ROWS
    return _sum(lookups), None


def _embedding(operator: Operator, times: int) -> list[Lookup]:
    table, index = operator.arguments[:2]
    if not (isinstance(table, Tensor) and isinstance(index, Tensor) and index.on_card):
        return []
    return [
        Lookup(
            table=table.storage,
            size=table.shape[-1],
            index=index.storage,
            count=math.prod(index.shape),
            by="",
            sequences=len(index.shape) > 1,
            times=times,
        )
    ]


def _generated(launch: Launch, storages: Sequence[int], times: int) -> list[Lookup]:
    if "embedding" not in launch.name or "embedding_dense_backward" in launch.name:
        return []
    given = [each for each in launch.arguments if len(each) == 4]
    known = [(int(each[1]), str(each[3]), at) for each, at in zip(given, storages, strict=False)]
    # The indices are read before what they choose: of as many, the first.
    indices = [(count, at) for count, kind, at in known if kind in _INTEGERS]
    tables = [(count, at) for count, kind, at in known if "float" in kind]
    if not indices or not tables:
        return []
    (size, table), (count, index) = (max(each, key=lambda one: one[0]) for each in (tables, indices))
    return [Lookup(table, size, index, count, launch.name, sequences=False, times=times)]


def _of_one_table(lookups: Sequence[Lookup]) -> list[Lookup]:
    most = max((each.size for each in lookups), default=0)
    by_table = defaultdict(list)
    for each in lookups:
        if each.size == most:
            by_table[each.table].append(each)
    return max(by_table.values(), key=_sum, default=[])


def _sum(lookups: Iterable[Lookup]) -> int:
    """Of one table. Kernels with several names that read the same indices do the same once more."""
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in lookups:
        counts[each.index][each.by] += each.count * each.times
    return sum(max(by_name.values()) for by_name in counts.values())


def _rows(kernels: Iterable[Kernel]) -> set[int]:
    """Of the forward's products that make up a part of it."""
    operations: dict[int, float] = defaultdict(float)
    for each in kernels:
        if each.kind is KernelKind.PRODUCT and each.phase == "forward" and each.product is not None:
            operations[each.product.m] += each.operations
    least = _SHARE * sum(operations.values())
    return {rows for rows, found in operations.items() if found >= least}
