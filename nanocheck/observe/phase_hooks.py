"""Where the phases of a step begin and end, found by watching PyTorch, not the script."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from nanocheck.observe.frame_variables import variables
from nanocheck.observe.library_frames import is_library, own_frame

Mark = Callable[[str], None]

_TRACERS = ("FakeTensorMode", "FunctionalTensorMode", "ProxyTorchDispatchMode")
#: Frames of these are not the script's own; see ``is_library``.
LIBRARIES = (str(Path(torch.__file__).parent), str(Path(__file__).parent), sysconfig.get_path("stdlib"))


def install(mark: Mark, optimizer: Callable[[torch.optim.Optimizer, str], None]) -> None:
    """Call ``mark`` with ``backward+``, ``backward-``, ``evaluation+``, ``evaluation-``, ``checkpoint+``,
    ``checkpoint-`` and ``optimizer`` with an optimizer and ``made``, ``+`` or ``-`` as they happen.

    Modules get no hooks: torch.compile would see them and compile something else.
    """
    torch.autograd._engine_run_backward = _between(  # type: ignore[attr-defined]
        torch.autograd._engine_run_backward,  # type: ignore[attr-defined]
        mark,
        "backward",
    )
    torch.save = torch.serialization.save = _between(torch.save, mark, "checkpoint")
    _watch_mode(mark)
    _watch_making(optimizer)
    register_optimizer_step_pre_hook(lambda each, *_: optimizer(each, "+"))
    register_optimizer_step_post_hook(lambda each, *_: optimizer(each, "-"))


def _between(function: Callable[..., Any], mark: Mark, name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def marked(*args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            return function(*args, **kwargs)
        mark(f"{name}+")
        try:
            return function(*args, **kwargs)
        finally:
            mark(f"{name}-")

    return marked


def is_tracing() -> bool:
    """Whether a compiler is following the code with tensors that have no memory."""
    return bool(torch._C._len_torch_dispatch_stack()) and any(
        type(each).__name__ in _TRACERS for each in _get_current_dispatch_mode_stack()
    )


def _watch_making(optimizer: Callable[[torch.optim.Optimizer, str], None]) -> None:
    original = torch.optim.Optimizer.__init__

    @functools.wraps(original)
    def made(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        optimizer(self, "made")

    torch.optim.Optimizer.__init__ = made  # type: ignore[method-assign]


def _watch_mode(mark: Mark) -> None:
    """``model.eval()`` begins an evaluation, ``model.train()`` ends it."""
    original = torch.nn.Module.train

    @functools.wraps(original)
    def train(self: torch.nn.Module, mode: bool = True) -> Any:
        # Only the outermost call counts: it calls itself for every submodule.
        outer = sys._getframe(1).f_code is not original.__code__
        if outer and self.training != mode:
            mark("evaluation-" if mode else "evaluation+")
        return original(self, mode)

    torch.nn.Module.train = train  # type: ignore[method-assign]


def script_frame(frame: FrameType | None) -> tuple[str, int, str] | None:
    """File, line and function of the innermost frame that is the script's own; see ``own_frame``."""
    return own_frame(_outwards(frame), LIBRARIES)


def _outwards(frame: FrameType | None) -> Iterator[tuple[str, int, str]]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back


def tensors_of(frame: FrameType | None) -> list[tuple[str, list[int], str]]:
    """Name, shape and dtype of the GPU tensors among the variables of the script's innermost frame."""
    while frame is not None:
        name = frame.f_code.co_filename
        if not is_library(name, LIBRARIES):
            return [
                (key, list(value.shape), str(value.dtype).removeprefix("torch."))
                for key, value in variables(frame)
                if isinstance(value, torch.Tensor) and value.is_cuda
            ]
        frame = frame.f_back
    return []
