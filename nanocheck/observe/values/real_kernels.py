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
    """The kernel that PyTorch would call now on ``CUDA`` or ``CPU``; torch 2.9 and later."""
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, device))
    plain: Kernel = functools.partial(torch.library.get_kernel(full_name(overload), device).call_boxed, keys)
    arguments = overload._schema.arguments
    tensors = [
        index for index, each in enumerate(arguments) if str(each.type) == "Tensor" and not each.kwarg_only
    ]
    if len(tensors) < 2 or overload is torch.ops.aten.copy_.default:
        return plain

    def call(*args: Any, **kwargs: Any) -> Any:
        for index in tensors:
            if index < len(args) and type(args[index]) in _NUMBERS:
                return _with_numbers(lambda: plain(*args, **kwargs))
        return plain(*args, **kwargs)

    return call


def put(library: Any, overload: Any, function: Any) -> None:
    """Let an operator call a function on CUDA, as long as the library (of ``torch.library``) lives."""
    _leave_to_python(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kernel is overridden: it is meant to be
        library.impl(full_name(overload), function, "CUDA")


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
