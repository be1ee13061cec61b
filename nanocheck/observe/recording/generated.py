"""Launches of generated kernels, as ranges of the execution trace: PyTorch's operators do not show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.profiler import record_function

RANGE = "nanocheck:generated:"


class Launches:
    """What our launcher is handed while a step is recorded.

    A range of the trace is only named by a number here: PyTorch writes names without escaping them.
    """

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []

    def launched(self, name: str, names: Sequence[str], arguments: Sequence[Any]) -> None:
        """One launch: each pointer with its elements and the bytes of one, each size of the grid."""
        said: list[list[Any]] = []
        with record_function(f"{RANGE}{len(self.made)}"):
            for argument, value in zip(names, arguments):
                if isinstance(value, torch.Tensor):
                    said.append([argument, value.numel(), value.element_size(), str(value.dtype)[6:]])
                    value.detach()  # a view, so that the trace knows the storage; no memory
                elif isinstance(value, int):
                    said.append([argument, value])
        self.made.append({"name": name, "arguments": said})
