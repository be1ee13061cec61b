"""What a loss is made of, read from autograd's graph: back from the loss to what made the logits.

A node of the graph knows the shape and type of what its operator made, and which nodes made what it read
(``grad_fn.next_functions``, https://docs.pytorch.org/docs/stable/notes/autograd.html). Operators that only
cut, copy, cast, scale or reduce lead from the loss back to the logits; whatever else is met made them.
Tensors that were saved for the backward are not looked at: to ask for one may run code of the script
(checkpointing, offloading).
"""

from __future__ import annotations

import dis
import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from nanocheck.observe.loss_operators import kind

_GENERATIONS = 4  # of ancestors of the head: its norm, the last layer's sum
_LIMIT = 5000  # nodes; a loss in a thousand pieces has fewer

#: From one head, or several that read the same, to the loss. ``made``: bytes of what each operator made and
#: of what it read, the newest first, the head last, views left out; ``read``: bytes of what the heads read;
#: ``older``: of what led to that.
Way = dict[str, list[Any]]


@dataclass
class LossGraph:
    """Of one backward.

    Attributes:
        ways: from heads to losses, the newest first.
        inside: nodes whose backward is the loss's. outside: the first ones whose backward is the model's.
        code: (file, first line, last line) of losses that are functions of the script's or its libraries'.
    """

    ways: list[Way] = field(default_factory=list)
    inside: list[Any] = field(default_factory=list)
    outside: list[Any] = field(default_factory=list)
    code: list[tuple[str, int, int]] = field(default_factory=list)


def of_roots(roots: Iterable[Any]) -> LossGraph:
    """The losses among what leads to the tensors that a backward begins at, given as their nodes."""
    found = LossGraph()
    ways, _ = _walk(roots)
    losses = [each for each in ways if _is_loss(each)]
    heads: set[Any] = set()
    inside: set[Any] = set()
    for loss in losses:
        found.code.extend(_code(loss))
        inside.add(loss)
        _, behind = _walk(_next(loss))
        if not _has_head(loss) and not any(kind(each).is_hidden for each in behind):
            heads.update(behind)
    # A loss that is written from its formula has more than one way from the logits to the number.
    inside |= _leading_to(heads, ways)
    found.inside = list(inside)
    found.outside = [each for node in inside for each in _next(node) if each not in inside]
    found.ways = _ways(inside, heads)
    return found


def of_logits(node: Any) -> list[Way]:
    """What led to a tensor that a loss is given, by its node; nothing where that is no logits."""
    ways, ends = _walk([node])
    if any(kind(each).is_hidden for each in ends):
        return []
    return _ways(ways, set(ends))


def _walk(starts: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Nodes that pass on what they are given, and the first ones that do not."""
    ways: list[Any] = []
    ends: list[Any] = []
    seen: set[Any] = set()
    waiting = list(starts)
    while waiting and len(seen) < _LIMIT:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if kind(node).passes or _is_loss(node):
            ways.append(node)
            waiting += _next(node)
        else:
            ends.append(node)
    return ways, ends


def _leading_to(heads: Set[Any], ways: Sequence[Any]) -> set[Any]:
    """Of nodes those that read, at any remove, what a head made."""
    found: set[Any] = set()
    for node in sorted(ways, key=_order):  # what a node reads was made before it
        if any(each in heads or each in found for each in _next(node)):
            found.add(node)
    return found


def _order(node: Any) -> int:
    return int(node._sequence_nr())


def _ways(nodes: Iterable[Any], heads: Iterable[Any]) -> list[Way]:
    """Each node belongs to the newest head that leads to it; nodes without one are a way without a head."""
    read_by: dict[frozenset[Any], list[Any]] = {}
    for head in heads:
        read_by.setdefault(frozenset(_read(head)) or frozenset([head]), []).append(head)
    owner = {head: group for group in read_by.values() for head in group}
    rows: dict[int, list[Any]] = {id(group): list(group) for group in read_by.values()}
    alone = []
    for node in sorted(nodes, key=_order):
        groups = [owner[each] for each in _next(node) if each in owner]
        if groups:
            owner[node] = max(groups, key=lambda group: _order(group[0]))
            rows[id(owner[node])].append(node)
        else:
            alone.append(node)
    ways = [_way(rows[id(group)], group) for group in sorted(read_by.values(), key=_newest, reverse=True)]
    return [*ways, *([_way(alone, [])] if alone else [])]


def _newest(nodes: Sequence[Any]) -> int:
    return max(map(_order, nodes))


def _way(nodes: Iterable[Any], heads: Sequence[Any]) -> Way:
    newest_first = sorted(nodes, key=_order, reverse=True)
    # A head that has other results, such as a whole compiled model, made logits of those that are read here.
    used: dict[Any, set[int]] = {}
    for node in newest_first:
        for each, index in node.next_functions:
            if each in heads:
                used.setdefault(each, set()).add(index)
    made = [
        (size, [read for each in _read(node) for read in _sizes(each)])
        for node in newest_first
        if not kind(node).is_view
        for size in _sizes(node, used.get(node))
    ]
    read = {size for head in heads for each in _read(head) for size in _sizes(each)}
    return {"made": made, "read": sorted(read), "older": sorted({s for head in heads for s in _older(head)})}


def _read(node: Any) -> Iterator[Any]:
    """The nodes that asked for the memory of what a node read: views lead to what they are of."""
    for each in _next(node):
        if kind(each).is_view:
            yield from _read(each)
        else:
            yield each


def _older(head: Any) -> Iterator[int]:
    """Bytes of what led to what a head read."""
    here = list(_read(head))
    for _ in range(_GENERATIONS):
        here = [each for node in here for each in _read(node)][:_GENERATIONS]
        for each in here:
            yield from _sizes(each)


def _sizes(node: Any, which: Set[int] | None = None) -> list[int]:
    """Bytes of what a node made, or of some of it; single numbers are left out."""
    return [
        _bytes(each)
        for index, each in enumerate(_made(node))
        if math.prod(each.shape) > 1 and (which is None or index in which)
    ]


def _made(node: Any) -> Sequence[Any]:
    """Shapes and types of a node's results; torch before 2.5 does not tell them."""
    return getattr(node, "_input_metadata", ())


def _bytes(metadata: Any) -> int:
    return math.prod(int(each) for each in metadata.shape) * int(metadata.dtype.itemsize)


def _next(node: Any) -> list[Any]:
    """Nodes that made what a node read; leaves (parameters) are none."""
    return [each for each, _ in node.next_functions if each is not None and not kind(each).is_leaf]


def _forward_of(node: Any) -> Any:
    """The forward of a ``torch.autograd.Function``; ``None`` for PyTorch's own operators."""
    function = getattr(type(node), "_forward_cls", None)
    return getattr(getattr(function, "forward", None), "__code__", None)


def _is_loss(node: Any) -> bool:
    return kind(node).is_loss or _ends_in_numbers(node)


def _ends_in_numbers(node: Any) -> bool:
    """A function of somebody's own is a loss, whatever its name, if it makes one number of all that it reads,
    or one of each row: log-probabilities of tokens, losses that are not reduced.
    """
    code = _forward_of(node)
    results = _made(node)
    if code is None or "/torch/" in code.co_filename or not results:
        return False
    made = math.prod(results[0].shape)
    rows = {math.prod(shape[:-1]) for shape in _shapes_read(node) if len(shape) > 1 and shape[-1] > 1}
    return made == 1 or made in rows


def _shapes_read(node: Any) -> Iterator[tuple[int, ...]]:
    for each, index in node.next_functions:
        if each is not None and not kind(each).is_leaf and _made(each):
            yield tuple(int(size) for size in _made(each)[index].shape)


def _has_head(node: Any) -> bool:
    """Whether a loss makes its logits itself: its name says so, or it reads the head's weights."""
    reads = [each for each, _ in node.next_functions if each is not None and kind(each).is_leaf]
    own = _forward_of(node) is not None and any(each.variable.dim() > 1 for each in reads)
    return kind(node).is_fused or own


def _code(node: Any) -> list[tuple[str, int, int]]:
    code = _forward_of(node)
    if code is None:
        return []
    # Python 3.9 has no code.co_lines
    last = max((line for _, line in dis.findlinestarts(code) if line), default=code.co_firstlineno)
    return [(code.co_filename, code.co_firstlineno, last)]
