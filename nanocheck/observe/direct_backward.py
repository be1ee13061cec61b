"""A backward that asks autograd's engine itself, past ``torch.autograd.backward``, as Megatron-LM's do.

Such a call is sent the way that all others take, so that whoever watches that way sees it, too.
"""

from __future__ import annotations

import sys
from typing import Any

import torch


def install() -> None:
    """Before others put themselves around ``torch.autograd._engine_run_backward``."""
    way = torch.autograd._engine_run_backward  # type: ignore[attr-defined]
    engine = torch.autograd.Variable._execution_engine

    class Engine(type(engine)):  # type: ignore[misc]
        def run_backward(self, tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if sys._getframe(1).f_code is way.__code__:
                return super().run_backward(tensors, *args, **kwargs)
            return torch.autograd._engine_run_backward(tensors, *args, **kwargs)  # type: ignore[attr-defined]

    torch.autograd.Variable._execution_engine = Engine()
