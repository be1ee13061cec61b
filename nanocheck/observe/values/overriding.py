"""Puts our functions in front of PyTorch's CUDA kernels, operator by operator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from nanocheck.observe.values import balanced, known_operators, operators, scalars_on_card, unknown_sizes
from nanocheck.observe.values.known_operators import Unknown
from nanocheck.observe.values.real_kernels import Kernel, full_name, put, real_kernel
from nanocheck.observe.values.unknown_sizes import UnknownSizes

#: Puts a function of ours around a kernel.
Wrap = Callable[[Kernel], Kernel]


def override_operators(library: Any, sizes: UnknownSizes) -> bool:
    """Compute what is known and answer for sizes, from now on.

    Args:
        library: of ``torch.library``, for ``aten``'s implementations; what it registers is gone with it.

    Returns:
        Whether it is done: before torch 2.9 a kernel that is replaced cannot be had back.
    """
    if getattr(torch.library, "get_kernel", None) is None:
        return False
    unknown: Unknown = functools.partial(unknown_sizes.unbounded, sizes=sizes)
    if sizes.policy == "balanced":
        sizes.average = balanced.average
        unknown = _both(unknown, balanced.follow)
        for overload in _overloads("multinomial"):
            _put(library, overload, functools.partial(balanced.pick, overload))
    for name in operators.SIZED:
        wrap = unknown_sizes.nonzero if name == "nonzero" else unknown_sizes.unique
        for overload in _overloads(name):
            _put(library, overload, functools.partial(wrap, overload, sizes=sizes))
    for name in operators.FUNCTIONS:
        for overload in (*_overloads(name), *_overloads(f"{name}_")):
            picks = sizes.policy == "balanced" and name in balanced.PICKS
            _override(library, overload, predicate=name in operators.PREDICATES, unknown=unknown, picks=picks)
    for name in operators.COMPOSITES:
        overload = getattr(torch.ops.aten, name).default
        _override(library, overload, predicate=False, unknown=unknown)
    for name in operators.WRITES:
        for overload in _overloads(name, wherever=True):
            over: Wrap = functools.partial(
                known_operators.in_place, overload, overwrites=True, unknown=unknown
            )
            if name == "copy_":
                over = _one_in_the_other(functools.partial(unknown_sizes.to_host, sizes=sizes), over)
            _put(library, overload, over)
    for name in operators.SPOILS:
        for overload in _overloads(name):
            _put(library, overload, functools.partial(known_operators.spoiling, overload))
    for name in operators.GROWS:
        for overload in _overloads(name):
            _put(library, overload, functools.partial(known_operators.growing, overload))
    for overload, function in scalars_on_card.overrides():
        put(library, overload, function)
    return True


def _override(
    library: Any,
    overload: Any,
    *,
    predicate: bool,
    unknown: Unknown,
    picks: bool = False,
) -> None:
    """With the function that fits what the operator changes."""
    arguments = overload._schema.arguments
    changed = [each for each in arguments if each.alias_info and each.alias_info.is_write]
    wrap: Wrap
    if not changed:
        wrap = functools.partial(known_operators.functional, overload, predicate=predicate, unknown=unknown)
    elif all(each.kwarg_only for each in changed):
        wrap = functools.partial(known_operators.into, overload, names=[each.name for each in changed])
    elif [each.name for each in changed] != [arguments[0].name]:
        return
    else:
        wrap = functools.partial(known_operators.in_place, overload, overwrites=False, unknown=unknown)
    _put(library, overload, (lambda kernel: balanced.pick(overload, wrap(kernel))) if picks else wrap)


def _put(library: Any, overload: Any, wrap: Wrap) -> None:
    put(library, overload, wrap(real_kernel(overload, "CUDA")))


def _overloads(name: str, *, wherever: bool = False) -> Iterator[Any]:
    """Those with a CUDA kernel of their own; the others call these. ``wherever``: with any kernel."""
    packet = getattr(torch.ops.aten, name, None)
    for each in () if packet is None else packet.overloads():
        overload = getattr(packet, each)
        full = full_name(overload)
        registered = torch._C._dispatch_has_kernel(full)  # TorchScript's, over lists, are not
        if each.startswith("Scalar") and name in operators.SCALARS_ON_CARD:
            continue
        if registered and (wherever or torch._C._dispatch_has_kernel_for_dispatch_key(full, "CUDA")):
            yield overload


def _one_in_the_other(first: Wrap, second: Wrap) -> Wrap:
    return lambda kernel: second(first(kernel))


def _both(first: Unknown, second: Unknown) -> Unknown:
    def both(name: str, args: Any, result: Any) -> None:
        first(name, args, result)
        second(name, args, result)

    return both
