"""Compiled graphs that the ranks of a run share: one generates, the others wait and take what it wrote.

Inductor keeps what it generates on disk, under a hash of the graph. Graph and code name the card by its
number, so that rank 1 finds nothing of rank 0's. Here this process's own card has no number in the hash, and
what another rank wrote for its card is read as if written for this one: the same text, but for the number.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from nanocheck.observe import absent_ranks

#: The module that ``install`` changes.
MODULE = "torch._inductor.codecache"
#: Where ranks of one run say what they compile.
FOLDER = "NANOCHECK_MACHINE"
#: In the hash, for this process's own card: a number that no machine's card has.
_OWN = 101
#: Of a graph on disk: the card of the rank that wrote it, if that was one.
_WRITTEN_FOR = "_nanocheck_card"
#: How generated code names a card; the number is between the two groups.
_NAMES = (
    r"(\bcuda:){}(\b)",
    r"(\btype='cuda', index=){}(\b)",
    r"(\b(?:raw_)?stream){}(\b)",
    r"(\bget_raw_stream\(){}(\))",
    r"(\bset_device\(){}(\))",
    r"(\b_DeviceGuard\(){}(\))",
)
#: Seconds without a sign of life after which nobody waits for another's graph any longer.
_PATIENCE_S = 10.0
_NAP_S, _SIGN_S = 0.2, 0.01

_compiling: dict[str, int] = {}


def install() -> None:
    """In this process's Inductor; of releases that have what is changed (2.9 to 2.14 do)."""
    module = _module()
    pickler, cache = module.FxGraphCachePickler, module.FxGraphCache
    if not all(
        hasattr(kind, name)
        for kind, name in (
            (pickler, "dumps"),
            (cache, "find_guarded_entry"),
            (cache, "load_with_key"),
            (cache, "_save_graph"),
            (module, "code_hash"),
        )
    ):
        return
    _hash_without_the_card(pickler)
    _read_for_this_card(cache)
    _wait_for_another(cache)


def _module() -> Any:
    return sys.modules[MODULE]


def own_card() -> int | None:
    """This rank's; None: it is no rank among several, or uses no card yet, and shares with nobody."""
    settled = absent_ranks.settled()
    torch: Any = sys.modules["torch"]
    shares = settled is not None and settled[1] > 1 and torch.cuda.is_initialized()
    return int(torch.cuda.current_device()) if shares else None


def for_card(code: str, was: int, is_now: int) -> str:
    """Generated code as it would be for another card."""
    for name in _NAMES:
        code = re.sub(name.format(was), rf"\g<1>{is_now}\g<2>", code)
    return code


def _hash_without_the_card(pickler: Any) -> None:
    # AOTAutograd's own cache has a subclass: what it keeps names the card in more than text.
    dumps = pickler.dumps
    reduced = getattr(pickler, "reducer_override", lambda self, value: NotImplemented)

    def reducer_override(self: Any, value: Any) -> Any:
        device = type(self) is pickler and type(value) is sys.modules["torch"].device
        if device and value.type == "cuda" and value.index is not None and value.index == own_card():
            return type(value), (value.type, _OWN)
        return reduced(self, value)

    @functools.wraps(dumps)
    def dumped(self: Any, value: Any) -> Any:
        written, card = dumps(self, value), own_card()
        if type(self) is not pickler or card is None:
            return written
        # The code of the graph is text.
        for name in (rb"(\bcuda:)%d(\b)", rb"(device\(type='cuda', index=)%d(\))"):
            written = re.sub(name % card, rb"\g<1>%d\g<2>" % _OWN, written)
        return written

    pickler.reducer_override, pickler.dumps = reducer_override, dumped


def _read_for_this_card(cache: Any) -> None:
    original = cache.find_guarded_entry.__func__

    @functools.wraps(original)
    def find_guarded_entry(kind: Any, *arguments: Any, **named: Any) -> Any:
        graph, *rest = original(kind, *arguments, **named)
        card, was = own_card(), getattr(graph, _WRITTEN_FOR, None)
        if card is not None and was is not None and was != card and was in graph.device_idxs:
            graph.source_code = for_card(graph.source_code, was, card)
            # The name of its file, which is not written again where there is one.
            graph.cache_key = _module().code_hash(graph.source_code)
            cards = [card if each == was else each for each in graph.device_idxs]
            graph.device_idxs = type(graph.device_idxs)(cards)
        return (graph, *rest)

    cache.find_guarded_entry = classmethod(find_guarded_entry)


def _wait_for_another(cache: Any) -> None:
    load, save = cache.load_with_key, cache._save_graph

    @functools.wraps(load)
    def load_with_key(key: str, *arguments: Any, **named: Any) -> Any:
        found = load(key, *arguments, **named)
        if found[0] is None and own_card() is not None and _begin(key):
            found = load(key, *arguments, **named)
            if found[0] is not None:
                _end(key)
        return found

    @functools.wraps(save)
    def save_graph(key: str, graph: Any, *arguments: Any, **named: Any) -> Any:
        setattr(graph, _WRITTEN_FOR, own_card())
        try:
            return save(key, graph, *arguments, **named)
        finally:
            _end(key)

    cache.load_with_key, cache._save_graph = staticmethod(load_with_key), staticmethod(save_graph)


def _begin(key: str) -> bool:
    """Whether another rank has compiled this graph, or was about to; else it is this one's to compile."""
    path = os.path.join(os.environ[FOLDER], f"graph-{key}")  # noqa: PTH118
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _compiling[key] = handle
    others = _locked(handle, lambda: os.pread(handle, 20, 0))
    os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)
    return others


def _end(key: str) -> None:
    handle = _compiling.pop(key, None)
    if handle is not None:
        os.close(handle)


def _locked(handle: int, holder: Callable[[], bytes]) -> bool:
    """Wait for whoever has it, as long as that one works; whether anybody had it before."""
    used, since = -1.0, time.monotonic()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return bool(holder())
        except BlockingIOError:
            pass
        now, working = time.monotonic(), _processor_ticks(holder())
        if working != used:
            used, since = working, now
        if now - since > _PATIENCE_S:  # it waits for somebody, maybe for us
            return True
        time.sleep(_NAP_S)
        # Others wait for this rank as long as it uses the processor (csrc/work/exchange_wait.c).
        until = time.thread_time() + _SIGN_S
        while time.thread_time() < until:
            pass


def _processor_ticks(pid: bytes) -> float:
    try:
        with open(f"/proc/{int(pid)}/stat", encoding="utf-8") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return -1.0
    return float(fields[11]) + float(fields[12])
