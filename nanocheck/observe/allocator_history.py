"""The allocator's own history, copied to the journal piece by piece.

PyTorch records every event of its caching allocator together with the Python stack
(``torch.cuda.memory._record_memory_history``). Events carry no number, but the allocator counts
allocations; that count, taken at a mark, is the mark's exact place among the events. Each device has its own
events and its own count; where the process sees several, entries say whose they are.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

from nanocheck.observe import ranks
from nanocheck.observe.event_log import Journal

#: Event names of torch.cuda.memory._snapshot, shortened in the journal; others are left out.
ACTIONS = {
    "alloc": "a",
    "free_requested": "r",
    "free_completed": "f",
    "free": "f",
    "segment_alloc": "S",
    "segment_free": "F",
    "segment_map": "M",
    "segment_unmap": "U",
    "oom": "o",
}


class History:
    """Of every device."""

    def __init__(self, journal: Journal, *, keep: bool = False) -> None:
        """``keep``: leave PyTorch's history as it is, so that a snapshot holds all of it."""
        self._journal = journal
        self._keep = keep
        self._taken: Counter[int] = Counter()  # events of the present history that are in the journal
        self._allocations: Counter[int] = Counter()  # allocations among everything in the journal
        self._record: Any = None

    def start(self) -> None:
        """Begin to record; call it when CUDA is initialised, before the first allocation."""
        # The script's own calls of these functions must neither end this recording nor clear it.
        self._record = torch.cuda.memory._record_memory_history
        self._on(clear=False)

        def harmless(*args: Any, **kwargs: Any) -> None:
            """In place of ``_record_memory_history``: everything is recorded already."""
            self._keep = True

        torch.cuda.memory._record_memory_history = harmless

    def _on(self, *, clear: bool) -> None:
        options: dict[str, Any] = {"context": "alloc", "stacks": "python"}
        if clear:
            if "clear_history" in inspect.signature(torch.cuda.memory._record_memory_history_impl).parameters:
                options["clear_history"] = True
            else:
                self._record(None)
        self._record("all", **options)

    def stop(self) -> None:
        """Record no more: it takes time, which is what is asked about next."""
        self._record(None)

    def pending(self) -> int:
        """Allocations not in the journal yet."""
        return sum(count(device) - self._allocations[device] for device in devices())

    def drain(self) -> list[dict[str, Any]]:
        """Copy what is new; the segments as they are. Call it while no other thread allocates."""
        snapshot = memory_snapshot()
        for device in devices():
            self._copy(device, snapshot["device_traces"][device][self._taken[device] :])
        if not self._keep:
            self._taken.clear()
            self._on(clear=True)
        segments: list[dict[str, Any]] = snapshot["segments"]
        return segments

    def _copy(self, device: int, events: list[dict[str, Any]]) -> None:
        missing = count(device) - self._allocations[device]
        if not events and not missing and device != torch.cuda.current_device():
            return
        rows = []
        for event in events:
            action = ACTIONS.get(event["action"])
            if action is None:
                continue
            stack = -1
            if action in "aoS":
                stack = self._journal.stack(
                    tuple((each["filename"], each["line"], each["name"]) for each in event["frames"])
                )
            where = event["device_free"] if action == "o" else event["addr"]
            rows.append((action, where, event["size"], stack))
        there = sum(row[0] == "a" for row in rows)
        self._journal.write("events", rows=rows, missing=missing - there, **card(device))
        self._allocations[device] += missing
        self._taken[device] += len(events)

    def blocks(self) -> tuple[list[tuple[int, int, int, str]], dict[str, Any]]:
        """(address, size, requested, state) of every block now, and the allocator's settings."""
        snapshot = memory_snapshot()
        device = torch.cuda.current_device()
        return [
            (block["address"], block["size"], block["requested_size"], block["state"])
            for segment in snapshot["segments"]
            if segment["device"] == device
            for block in segment["blocks"]
        ], snapshot.get("allocator_settings", {})


def memory_snapshot() -> dict[str, Any]:
    """Of the caching allocator: segments, blocks and the recorded events."""
    taken: Any = torch._C._cuda_memorySnapshot
    with _compiler_left_out():
        try:
            return dict(taken(None))
        except TypeError:  # torch before 2.8
            return dict(taken())


#: Threads that take a snapshot; and how torch finds what is not imported yet.
_ASKING: set[int] = set()
_LOOK_UP: Any = torch.__dict__.get("__getattr__")


@contextlib.contextmanager
def _compiler_left_out() -> Iterator[None]:
    """PyTorch asks ``torch._inductor`` for the stacks of compiled code, and so imports the whole compiler:
    a second, in a script that compiles nothing. What is imported already is found all the same.
    """
    if _LOOK_UP is None or "_inductor" in torch.__dict__:
        yield
        return
    _ASKING.add(threading.get_ident())
    torch.__dict__["__getattr__"] = _look_up_all_but_the_compiler
    try:
        yield
    finally:
        _ASKING.discard(threading.get_ident())
        if not _ASKING:  # should another thread begin just now, the compiler is imported: no harm but time
            torch.__dict__["__getattr__"] = _LOOK_UP


def _look_up_all_but_the_compiler(name: str) -> Any:
    if name == "_inductor" and threading.get_ident() in _ASKING:
        raise AttributeError(name)
    return _LOOK_UP(name)


def devices() -> range:
    """Those that this process sees."""
    return range(torch.cuda.device_count())


def card(device: int) -> dict[str, int]:
    """Whose an entry of the journal is, where the process sees several devices."""
    return {"card": ranks.card_of(device)} if len(devices()) > 1 else {}


def raw_statistics(device: int | None = None) -> dict[str, Any]:
    """PyTorch's nested statistics of a device, by default the current one, about 30 us."""
    return torch._C._cuda_memoryStats(torch.cuda.current_device() if device is None else device)


def count(device: int | None = None) -> int:
    """Allocations since the process began."""
    return int(raw_statistics(device)["allocation"]["all"]["allocated"])


def moment() -> dict[str, Any]:
    """``statistics`` of the current device, for a mark, and of each other one that was used."""
    now = torch.cuda.current_device()
    found = {ranks.card_of(each): statistics(each) for each in devices() if each != now}
    others = {number: figures for number, figures in found.items() if figures["allocations"]}
    return {**statistics(now), **card(now), **({"others": others} if others else {})}


def place() -> dict[str, Any]:
    """Where an entry lies among the events of each device: how many allocations there have been."""
    now = torch.cuda.current_device()
    others = {ranks.card_of(each): there for each in devices() if each != now and (there := count(each))}
    return {"allocations": count(now), **card(now), "others": others}


def statistics(device: int | None = None) -> dict[str, int]:
    """Peaks and totals of a device, by default the current one."""
    raw = raw_statistics(device)
    return {
        "allocations": raw["allocation"]["all"]["allocated"],
        "allocated": raw["allocated_bytes"]["all"]["current"],
        "allocated_peak": raw["allocated_bytes"]["all"]["peak"],
        "reserved": raw["reserved_bytes"]["all"]["current"],
        "reserved_peak": raw["reserved_bytes"]["all"]["peak"],
        "held": raw["requested_bytes"]["all"]["current"],
        "retries": raw["num_alloc_retries"],
        "ooms": raw["num_ooms"],
    }
