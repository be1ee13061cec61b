"""Operators over known integers and booleans, computed for real on the host.

PyTorch's own CUDA kernel runs first, so every allocation and launch happens as ever. Then, where every
input was known and is small enough, the same operator runs on the host over the same memory, and what it
says is written where the kernel would have written it. No memory of the card is taken, none is given
back, and floating-point results stay what they are: nobody's (but see ``healthy_answers``). Doubt (a
failure, a captured graph, a shape that differs) leaves a result unknown. Where several answers are right
(``topk`` of equal values) it is the host's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch

from nanocheck.observe.values import card_memory, healthy_answers
from nanocheck.observe.values.healthy_answers import Healthy
from nanocheck.observe.values.real_kernels import Kernel, real_kernel

#: Bytes of each tensor: 2 Mi tokens of int64, a mask of 4,096 x 4,096.
LIMIT_BYTES = 16 << 20
#: Whose values are computed.
WHOLE = frozenset({torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64})

#: Called with the operator's name, its arguments, and a result whose values nobody knows.
Unknown = Callable[[str, Sequence[Any], Any], None]


def tensors_of(values: Any) -> Iterator[torch.Tensor]:
    """Every tensor among arguments or results, those in lists too."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_of(value)


def on_host(value: Any) -> Any:
    """An argument of an operator of the card, for the same operator of the host."""
    if isinstance(value, torch.Tensor):
        return card_memory.seen(value) if value.is_cuda else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(on_host, value))
    return torch.device("cpu") if isinstance(value, torch.device) else value


def spoiling(operator: Any, kernel: Kernel) -> Kernel:
    """An operator that writes into its first argument what nobody computes (random numbers)."""

    def run(changed: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        result = kernel(changed, *args, **kwargs)
        if changed.dtype in WHOLE and changed.is_cuda:
            _Target(changed).lost()
        return result

    return run


def growing(operator: Any, kernel: Kernel) -> Kernel:
    """``resize_``: what stood there stays; the rest nobody has written, so any value is true: zeros.

    ``all_gather_object`` sends a shorter object in a tensor that was resized to the longest one's length.
    """

    def run(changed: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        before = changed.untyped_storage().nbytes() if changed.is_cuda else 0
        result = kernel(changed, *args, **kwargs)
        if changed.dtype in WHOLE and before < changed.untyped_storage().nbytes() <= LIMIT_BYTES and before:
            card_memory.extend(changed, before)
        return result

    return run


def functional(operator: Any, kernel: Kernel, *, predicate: bool, unknown: Unknown | None) -> Kernel:
    """An operator that makes new tensors.

    Args:
        operator: the overload. kernel: PyTorch's own.
        predicate: whether known floating-point inputs are computed with, too.
        unknown: see ``Unknown``.
    """
    name = operator.overloadpacket.__name__

    def run(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else None
        leading = first[0] if isinstance(first, (list, tuple)) and first else first
        real = not predicate and isinstance(leading, torch.Tensor) and leading.dtype not in WHOLE
        if real and not healthy_answers.is_small_number(leading):  # nearly all operators of a training
            return kernel(*args, **kwargs)
        inputs = [*tensors_of(args), *tensors_of(kwargs.values())]
        kept = None if real else known_inputs(inputs)
        healthy = Healthy.of(inputs) if kept is None else None
        if real and healthy is None:
            return kernel(*args, **kwargs)
        count = healthy_answers.count_of(name, args) if kept is None and healthy is None else None
        result = kernel(*args, **kwargs)
        if kept is not None:
            still_known(kept)
            write(result, operator, args, kwargs)
        elif healthy is not None:
            healthy.stay()
            healthy_answers.write(result, said_on_host(operator, args, kwargs))
        elif count is not None and isinstance(result, torch.Tensor):
            healthy_answers.write(result, count(result))
        elif unknown is not None:
            unknown(name, (*args, *kwargs.values()), result)
        return result

    return run


def in_place(operator: Any, kernel: Kernel, *, overwrites: bool, unknown: Unknown | None) -> Kernel:
    """An operator that changes its first argument; ``overwrites``: whatever stood there before."""
    name = operator.overloadpacket.__name__

    def run(changed: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        real = changed.dtype not in WHOLE
        if not changed.is_cuda or (real and not healthy_answers.is_small_number(changed)):
            return kernel(changed, *args, **kwargs)
        inputs = [*tensors_of(args), *tensors_of(kwargs.values())]
        healthy = Healthy.of(inputs if overwrites else [changed, *inputs])
        if healthy is not None:
            return _healthy_in_place(operator, kernel, healthy, changed, args, kwargs)
        if real:
            return kernel(changed, *args, **kwargs)
        kept = known_inputs(inputs)
        known = kept is not None and _may_compute([changed])
        known = known and (overwrites or card_memory.is_known(changed))
        target = _Target(changed)
        before = card_memory.seen(changed).clone() if known else None
        result = kernel(changed, *args, **kwargs)
        if kept is not None:
            still_known(kept)
        said = None if before is None else said_on_host(operator, (before, *args), kwargs)
        if said is not None:
            target.now(said)
        elif changed.dtype != torch.bool or not target.whole:
            target.lost()  # else the C library has its own opinion of yes and no (csrc/values/predicates.c)
        if said is None and unknown is not None:
            unknown(name, (changed, *args), result)
        return result

    return run


def _healthy_in_place(
    operator: Any,
    kernel: Kernel,
    healthy: Healthy,
    changed: torch.Tensor,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Any:
    """One that changes a flag or a count: see ``healthy_answers``."""
    before, target = card_memory.seen(changed).clone(), _Target(changed)
    result = kernel(changed, *args, **kwargs)
    healthy.stay()
    said = said_on_host(operator, (before, *args), kwargs)
    target.lost()
    healthy_answers.write(changed, said)
    return result


def into(operator: Any, kernel: Kernel, names: Sequence[str]) -> Kernel:
    """An operator that writes into tensors that it is handed by name (``out=``)."""

    def run(*args: Any, **kwargs: Any) -> Any:
        made = {name: kwargs[name] for name in names}
        if not all(each.dtype in WHOLE and each.is_cuda for each in made.values()):
            return kernel(*args, **kwargs)
        rest = {name: value for name, value in kwargs.items() if name not in names}
        inputs = [*tensors_of(args), *tensors_of(rest.values())]
        healthy = Healthy.of(inputs)
        if healthy is not None:  # an operator in place is one of these, too: ``logical_or_``
            answers = _into_fresh(operator, args, rest, made)
            result = kernel(*args, **kwargs)
            healthy.stay()
            for name, each in made.items():
                _Target(each).lost()
                healthy_answers.write(each, answers.get(name))
            return result
        kept = known_inputs(inputs)
        result = kernel(*args, **kwargs)
        targets = {name: _Target(each) for name, each in made.items()}
        starts = {card_memory.start_of(each) for each in made.values()}
        apart = all(card_memory.start_of(each) not in starts for each in inputs)
        said = None
        if kept is not None and apart and _may_compute(made.values()):
            still_known(kept)
            said = _into_fresh(operator, args, rest, made) or None
        for name, target in targets.items():
            target.lost() if said is None else target.now(said[name])
        return result

    return run


def _into_fresh(
    operator: Any, args: Sequence[Any], rest: dict[str, Any], made: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What the operator writes into tensors of the host; nothing where it says nothing."""
    fresh = {name: torch.empty(0, dtype=each.dtype, device="cpu") for name, each in made.items()}
    return {} if said_on_host(operator, args, {**rest, **fresh}) is None else fresh


def write(result: Any, operator: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Put into the new tensors of a result what the operator says on the host."""
    made = [each for each in tensors_of([result]) if each.is_cuda and each.dtype in WHOLE]
    if made and _may_compute(made):
        said = said_on_host(operator, args, kwargs)
        if said is not None:
            write_values(result, said)


def write_values(result: Any, said: Any) -> None:
    """Put what was computed into the new tensors of a result, each of which has its storage for itself."""
    if isinstance(result, (list, tuple)) and isinstance(said, (list, tuple)):
        for made, value in zip(result, said):  # what nobody asked for may be no tensor at all
            write_values(made, value)
    elif isinstance(result, torch.Tensor) and isinstance(said, torch.Tensor) and result.dtype in WHOLE:
        _Target(result).now(said)


def known_inputs(inputs: Sequence[torch.Tensor]) -> list[tuple[int, int]] | None:
    """Where the known memory of inputs lies: start and bytes; ``None``: one is unknown or too large."""
    kept = []
    for each in inputs:
        if each.nbytes > LIMIT_BYTES:
            return None
        if each.is_cuda and each.numel():
            if not card_memory.is_known(each):
                return None
            start, size = card_memory.start_of(each), each.untyped_storage().nbytes()
            whole = card_memory.all_known(start, size)
            kept.append((start, size if whole else each.data_ptr() - start + card_memory.extent(each)))
    return kept


def still_known(kept: Sequence[tuple[int, int]]) -> None:
    """A kernel changes none of its inputs, but its parameters do not always tell them from its outputs."""
    for start, size in kept:
        card_memory.tell_computed(start, size)


def _may_compute(made: Iterable[torch.Tensor]) -> bool:
    return all(each.nbytes <= LIMIT_BYTES for each in made) and not torch.cuda.is_current_stream_capturing()


def said_on_host(operator: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What the operator says on the host; ``None`` where it says nothing."""
    try:
        kernel = _host_kernel(operator)
        return kernel(*map(on_host, args), **{name: on_host(value) for name, value in kwargs.items()})
    except Exception:
        return None


@functools.cache
def _host_kernel(operator: Any) -> Kernel:
    return real_kernel(operator, "CPU")


class _Target:
    """A tensor whose values change: part of a storage, of which more may be known."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor
        self._start, self._bytes = card_memory.start_of(tensor), tensor.untyped_storage().nbytes()
        self._ahead = tensor.data_ptr() - self._start
        self.whole = tensor.nbytes == self._bytes
        self._known = self.whole or card_memory.all_known(self._start, self._bytes)
        self._up_to_here = self._known or card_memory.all_known(self._start, self._ahead)

    def lost(self) -> None:
        """Nobody knows what stands in it, nor behind it."""
        card_memory.tell_lost(self._start + self._ahead, self._bytes - self._ahead)

    def now(self, values: torch.Tensor) -> None:
        """These stand in it."""
        tensor = self._tensor
        if values.shape != tensor.shape or values.dtype != tensor.dtype:
            self.lost()
            return
        card_memory.seen(tensor).copy_(values)
        card_memory.hold(tensor)
        if self._known:
            card_memory.tell_computed(self._start, self._bytes)
            return
        self.lost()  # what an earlier tensor left behind it must not look known again
        if self._up_to_here and tensor.is_contiguous():
            card_memory.tell_computed(self._start + self._ahead, tensor.nbytes)
