"""PyTorch's own kernels of an operator, callable after one of ours stands in their place.

A number beside a tensor (``x * 2``) reaches a kernel as a "wrapped number", which does not decide the dtype
of the result. A Python function gets it as a number, and handing it back takes a call in which PyTorch lets
numbers stand for tensors: that of an operator of ``prims``, here one of ours that only calls what it was
left.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch

#: Called with the operator's arguments.
Kernel = Callable[..., Any]

_NUMBERS = frozenset({bool, int, float, complex})
_left = threading.local()  # the call, then its result
_library: Any = None


def full_name(overload: Any) -> str:
    """``aten::mul.Tensor``."""
    schema = overload._schema
    return f"{schema.name}.{schema.overload_name}" if schema.overload_name else str(schema.name)


def real_kernel(overload: Any, device: str) -> Kernel:
    """The kernel that PyTorch would call now on ``CUDA`` or ``CPU``."""
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, device))
    if gives_kernels_back():
        plain: Kernel = functools.partial(
            torch.library.get_kernel(full_name(overload), device).call_boxed, keys
        )
    else:
        plain = functools.partial(overload.redispatch, keys)
    return _taking_numbers(overload, plain)


def gives_kernels_back() -> bool:
    """Whether a kernel can be had, and called after it was replaced: torch 2.9 and later."""
    return getattr(torch.library, "get_kernel", None) is not None


def put(library: Any, overload: Any, function: Any) -> None:
    """Let an operator call a function on CUDA, as long as the library (of ``torch.library``) lives."""
    if gives_kernels_back():
        key, with_keyset = "CUDA", False
    else:
        function = _before_all_devices(overload, function)
        key, with_keyset = "BackendSelect", True
    _leave_to_python(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kernel is overridden: it is meant to be
        library.impl(full_name(overload), function, key, with_keyset=with_keyset)


def _before_all_devices(overload: Any, function: Kernel) -> Kernel:
    """The function for CUDA, and PyTorch's own kernel for every other device.

    Before torch 2.9 a replaced kernel is lost. So none is replaced: this goes where PyTorch chooses the
    device (``BackendSelect``), one step before all kernels, below autograd and what traces.
    """
    further = torch._C._dispatch_keyset_full_after(torch._C.DispatchKey.BackendSelect)
    _leave_to_python(function)

    def run(keys: Any, *args: Any, **kwargs: Any) -> Any:
        keys = keys & further
        kind = keys.highestPriorityTypeId()
        if kind == torch._C.DispatchKey.Undefined:  # no tensor given: the device is named, or the host's
            device = torch.device(kwargs.get("device") or "cpu")
            kind = torch._C._dispatch_key_parse(torch._C._dispatch_key_for_device(device.type))
            keys = torch._C.DispatchKeySet(kind)
        if kind == torch._C.DispatchKey.CUDA:
            return function(*args, **kwargs)
        return _taking_numbers(overload, functools.partial(overload.redispatch, keys))(*args, **kwargs)

    return run


@functools.cache
def _places_of_tensors(overload: Any) -> tuple[int, ...]:
    """Where a number may stand for a tensor; nothing where that need not be looked at."""
    found = tuple(
        index
        for index, each in enumerate(overload._schema.arguments)
        if str(each.type) == "Tensor" and not each.kwarg_only
    )
    return () if len(found) < 2 or overload is torch.ops.aten.copy_.default else found


def _taking_numbers(overload: Any, plain: Kernel) -> Kernel:
    """The kernel, also for numbers where it takes tensors."""
    tensors = _places_of_tensors(overload)
    if not tensors:
        return plain

    def call(*args: Any, **kwargs: Any) -> Any:
        for index in tensors:
            if index < len(args) and type(args[index]) in _NUMBERS:
                return _with_numbers(lambda: plain(*args, **kwargs))
        return plain(*args, **kwargs)

    return call


def _leave_to_python(function: Any) -> None:
    """Dynamo would follow it, and all that it calls, wherever a compiled function's graph breaks."""
    frames: Any = torch._C._dynamo.eval_frame
    if hasattr(frames, "skip_code"):  # torch before 2.7
        frames.skip_code(function.__code__)
        return
    from torch._C._dynamo.eval_frame import _FrameAction, _FrameExecStrategy, set_code_exec_strategy

    strategy = _FrameExecStrategy(_FrameAction.SKIP, _FrameAction.SKIP)
    set_code_exec_strategy(function.__code__, strategy)


def _with_numbers(call: Callable[[], Any]) -> Any:
    """What the call returns, while numbers may stand for tensors."""
    global _library
    if _library is None:
        library: Any = torch.library.Library("prims", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define("nanocheck_with_numbers() -> ()")
        library.impl("nanocheck_with_numbers", _run, "CompositeExplicitAutograd")
        _library = library
    _left.call = call
    torch.ops.prims.nanocheck_with_numbers.default()
    result, _left.result = _left.result, None
    return result


def _run() -> None:
    call, _left.call = _left.call, None
    _left.result = call()
