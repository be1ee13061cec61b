"""What a process asks of the virtual GPU it runs on. Works without torch; safe where there is none."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from nanocheck.observe import nodes

#: Order of ``nc_counter`` in csrc/base/counters.h.
_COUNTERS = (
    "launches",
    "flash",
    "efficient",
    "cudnn",
    "matmul",
    "fills",
    "copies_skipped",
    "convolutions",
    "waits",
)

#: Order of ``nc_guess`` in csrc/base/guesses.h: whose sizes only NVIDIA's own library knows.
_GUESSES = ("cuSOLVER", "cuFFT", "cuSPARSE", "recurrent", "convolution", "batch norm")


def version() -> str | None:
    """Identity of the virtual GPU loaded in this process, or ``None`` where the GPU is not ours.

    This is how provenance is found out: by what is loaded, never by what was asked for.
    """
    try:
        answer = ctypes.CDLL(None).nanocheck_virtual_version
    except AttributeError:
        return None
    answer.restype = ctypes.c_char_p
    return str(answer().decode())


def counters() -> dict[str, int]:
    """How often each kind of work was launched (not executed) in this process; {} without a virtual GPU."""
    if version() is None:
        return {}
    count = ctypes.CDLL(None).nanocheck_counter
    count.restype = ctypes.c_ulonglong
    return {name: int(count(index)) for index, name in enumerate(_COUNTERS)}


def guessed_sizes() -> dict[str, tuple[int, int]]:
    """For each library that was asked for a size that only it knows: how often, and the most bytes answered.

    {} without a virtual GPU.
    """
    if version() is None:
        return {}
    ask, most = ctypes.CDLL(None).nanocheck_guesses, ctypes.c_size_t()
    ask.restype = ctypes.c_ulonglong
    asked = {name: (int(ask(index, ctypes.byref(most))), most.value) for index, name in enumerate(_GUESSES)}
    return {name: found for name, found in asked.items() if found[0]}


def communicators() -> dict[int, list[tuple[int, int, int]]]:
    """Of each card, NCCL's communicators that were used: ranks, how many at once, how many for messages.

    Cards as the run numbers them; {} without a virtual GPU.
    """
    ask = _library_function("nanocheck_nccl_communicators")
    collective, messages = ctypes.c_uint(), ctypes.c_uint()
    found: dict[int, list[tuple[int, int, int]]] = {}
    for slot in range(_machine_cards()) if ask is not None else ():
        ranks = int(ask(slot, 0, ctypes.byref(collective), ctypes.byref(messages)))
        while ranks:
            rows = found.setdefault(nodes.card_in_run(slot), [])
            rows.append((ranks, collective.value, messages.value))
            ranks = int(ask(slot, ranks, ctypes.byref(collective), ctypes.byref(messages)))
    return found


def nccl_refused() -> tuple[int, int, int] | None:
    """The card, bytes that NCCL asked of it and that were free, where it found no room; else ``None``."""
    ask = _library_function("nanocheck_nccl_refused")
    asked, free = ctypes.c_size_t(), ctypes.c_size_t()
    for slot in range(_machine_cards()) if ask is not None else ():
        if ask(slot, ctypes.byref(asked), ctypes.byref(free)):
            return nodes.card_in_run(slot), asked.value, free.value
    return None


def _machine_cards() -> int:
    count = _library_function("nanocheck_machine_cards")
    return 0 if count is None else int(count())


def peak_used_bytes() -> int:
    """The most this process held of the card at once: its context, cudaMalloc and mapped memory.

    What ``nvidia-smi`` would have shown at its highest; 0 without a virtual GPU.
    """
    if version() is None:
        return 0
    peak = ctypes.CDLL(None).nanocheck_peak_used
    peak.restype = ctypes.c_size_t
    return int(peak())


def card_peaks() -> dict[int, int]:
    """For each card of a machine with several that this process has used: the most it held of it at once.

    As the run numbers them; {} where there is one card, and without a virtual GPU.
    """
    if version() is None:
        return {}
    cards, peak = _machine_cards(), ctypes.CDLL(None).nanocheck_card_peak
    peak.restype = ctypes.c_size_t
    found = {nodes.card_in_run(slot): int(peak(slot)) for slot in range(cards)} if cards > 1 else {}
    return {card: most for card, most in found.items() if most}


def attention_backend() -> str:
    """The attention kernels that were launched: flash, efficient or cudnn; ``math`` where none of them was,
    ``unknown`` where nothing was launched at all.
    """
    seen = counters()
    names = [name for name in ("flash", "efficient", "cudnn") if seen.get(name)]
    if len(names) > 1:
        return "+".join(names)
    if names:
        return names[0]
    return "math" if seen.get("matmul") else "unknown"


def wrote(address: int) -> None:
    """A kernel would have written here: what the program wrote is gone. Nothing without a virtual GPU."""
    function = _library_function("nanocheck_wrote")
    if function is not None:
        function(ctypes.c_void_p(address))


@functools.cache
def _library_function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
