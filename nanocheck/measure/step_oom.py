"""Where and why a step ran out of memory, as exactly as PyTorch lets us know."""

from __future__ import annotations

import linecache
import math
import re
import traceback
from pathlib import Path

import torch

from nanocheck.core.result import OutOfMemory

_TORCH = str(Path(torch.__file__).parent)
_STEP = str(Path(__file__).parent.parent / "step")
#: Inductor's generated wrapper: ``buf1 = empty_strided_cuda((16384, 50304), (50304, 1), torch.bfloat16)``
_GENERATED = re.compile(r"empty_strided_cuda\(\(([\d, ]*)\), \([\d, ]*\), torch\.(\w+)\)")


class OomWatch:
    """Notes the size of every allocation that failed, in bytes.

    PyTorch tells its observers the segment it asked the driver for: the request rounded up to 512
    bytes and, from 10 MiB on, to 2 MiB.
    """

    def __init__(self) -> None:
        self.failed_bytes: list[int] = []
        torch._C._cuda_attach_out_of_memory_observer(self._failed)  # type: ignore[attr-defined]

    def _failed(self, device: int, size: int, total: int, free: int) -> None:
        self.failed_bytes.append(size)


def describe(error: torch.OutOfMemoryError, watch: OomWatch, phase: str, step: int) -> OutOfMemory:
    """Details of an out-of-memory error.

    Args:
        error: as caught around the step.
        watch: attached before the step.
        phase, step: where the run was.
    """
    frames = traceback.extract_tb(error.__traceback__)
    inner = [frame for frame in frames if not frame.filename.startswith(_TORCH)]
    where = inner[-1] if inner else frames[-1]
    text = where.line or linecache.getline(where.filename, where.lineno or 0).strip()
    failed = watch.failed_bytes[-1] if watch.failed_bytes else 0
    size, shape = _generated_tensor(text)
    path = Path(where.filename)
    ours = path.is_relative_to(_STEP)
    shown = f"nanocheck/step/{path.relative_to(_STEP)}" if ours else f"generated code {path.name}"
    return OutOfMemory(
        phase=phase,
        step=step,
        requested_bytes=size or failed,
        exact=size is not None,
        shape=shape,
        line=f"{shown}:{where.lineno}: {text}" if not shape else text,
        message=str(error).split("\n")[0],
    )


def _generated_tensor(text: str) -> tuple[int | None, tuple[int, ...] | None]:
    """Bytes and shape of a tensor that Inductor's generated code was about to make."""
    found = _GENERATED.search(text)
    if found is None:
        return None, None
    shape = tuple(int(each) for each in found.group(1).replace(" ", "").split(",") if each)
    return math.prod(shape) * getattr(torch, found.group(2)).itemsize, shape
