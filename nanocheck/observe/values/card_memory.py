"""The virtual card's memory, seen from inside the process: what of it is known, and what lies there.

Addresses of the card are addresses of the process, so a tensor of the card can be looked at as one of the
host. Which bytes are known is kept by the C library (csrc/values/known.c).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch

_WRITE = 0x200  # PyBUF_WRITE

#: Where the values of memory are from (csrc/values/known.h).
UNKNOWN, WRITTEN, FOLLOWS, GUESSED = 0, 1, 2, 3

_memory: Callable[[int, int, int], memoryview] = ctypes.pythonapi.PyMemoryView_FromMemory
_memory.restype = ctypes.py_object  # type: ignore[attr-defined]
_memory.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]  # type: ignore[attr-defined]


def _function(name: str, *types: Any) -> Any:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:  # None: the GPU is not ours, and nobody asks
        function.argtypes = types
    return function


_known = _function("nanocheck_known", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_computed = _function("nanocheck_computed", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_lost = _function("nanocheck_lost", ctypes.c_void_p, ctypes.c_size_t)
_tell_read = _function("nanocheck_tell_read", ctypes.c_char_p, ctypes.c_size_t)
_read_waits = _function("nanocheck_read_waits")
_counts = _function("nanocheck_sizes_made_up")
if _counts is not None:
    _counts.restype = ctypes.c_ulonglong


def start_of(tensor: torch.Tensor) -> int:
    """Where its storage begins. The storage itself is not asked: that would be one more reference to it."""
    return tensor.data_ptr() - int(tensor.storage_offset()) * tensor.element_size()


def extent(tensor: torch.Tensor) -> int:
    """Bytes from its first element to its last."""
    if not tensor.numel():
        return 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return (last + 1) * tensor.element_size()


def known(storage: int, at: int, size: int) -> int:
    """``UNKNOWN``; ``WRITTEN``: its values are there; ``FOLLOWS``: they are, whatever finite numbers somebody
    had computed; ``GUESSED``: a rule made them up.

    Args:
        storage: where the storage begins; everything from there on counts.
        at: what is asked about. size: of that, in bytes.
    """
    return int(_known(storage, at, size))


def how_known(tensor: torch.Tensor) -> int:
    """``known`` of a tensor of the card."""
    size = extent(tensor)
    return known(start_of(tensor), tensor.data_ptr(), size) if size else WRITTEN


def is_known(tensor: torch.Tensor) -> bool:
    """Whether the values of a tensor of the card are true ones."""
    return how_known(tensor) == WRITTEN


def all_known(start: int, size: int) -> bool:
    """Whether so many bytes from the start of a storage on are true values."""
    return not size or known(start, start, size) == WRITTEN


def seen(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the card as one of the host, over the same memory."""
    size = extent(tensor)
    if not size:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    flat = torch.frombuffer(_memory(tensor.data_ptr(), size, _WRITE), dtype=tensor.dtype)
    return flat.as_strided(tensor.shape, tensor.stride())


def tell_computed(start: int, size: int, *, origin: int = WRITTEN) -> None:
    """So many bytes from an address on hold values that the host computed.

    They count as known until a kernel is handed them to write to, or until they are lost: see ``hold``.
    """
    if size:
        _computed(start, size, origin - WRITTEN)


class _Life:
    """Kept by a storage: when its memory goes back to PyTorch, what the next tensor finds is nobody's."""

    def __init__(self, start: int, size: int) -> None:
        self.start, self.size = start, size

    def __del__(self, lost: Any = _lost) -> None:
        lost(self.start, self.size)


def hold(tensor: torch.Tensor) -> None:
    """Let what is known of a tensor's storage be lost with the storage, and no later."""
    storage = tensor.untyped_storage()
    start, size = storage.data_ptr(), storage.nbytes()
    life = getattr(storage, "nanocheck_life", None)
    if life is None or (life.start, life.size) != (start, size):
        storage.nanocheck_life = _Life(start, size)  # type: ignore[attr-defined]


def extend(tensor: torch.Tensor, before: int) -> None:
    """Where so many bytes of its storage are known: let zeros follow them to its end."""
    start, size = start_of(tensor), tensor.untyped_storage().nbytes()
    if all_known(start, before):
        ctypes.memset(start + before, 0, size - before)
        hold(tensor)
        tell_computed(start, size)


def tell_lost(start: int, size: int) -> None:
    """Nobody knows any more what so many bytes from an address on hold."""
    if size > 0:
        _lost(start, size)


def tell_read(value: bytes) -> None:
    """What this thread's next read of as many bytes gets; none: the card's memory, as ever."""
    _tell_read(value, len(value))


def counts_made_up() -> int:
    """Reads of four or eight unknown bytes so far, each of which got a one: PyTorch may take it as a size."""
    return int(_counts())


def read_waits() -> bool:
    """Whether what ``tell_read`` was given has not been read yet."""
    return bool(_read_waits())
