"""Stores and their barriers: nobody waits for a rank that is left out.

The store stays PyTorch's own. What differs: the first rank that runs serves it where rank 0 would, nobody
counts on the others' coming, and a key that only they could write is waited for a bounded time.
"""

from __future__ import annotations

import functools
import os
from datetime import timedelta
from types import ModuleType
from typing import Any

from nanocheck.observe import absent_ranks
from nanocheck.observe.distributed import groups

#: How long a key may take to be written, seconds; the same bound as for a collective.
WAIT = "NANOCHECK_RANK_WAIT_S"
_WAIT_S = 60.0


def install(c10d: ModuleType) -> None:
    """In ``torch.distributed.distributed_c10d``."""
    from torch._C import _distributed_c10d as native

    _serve_it(native.TCPStore)
    _count_those_who_run(c10d)
    _bound_the_wait(native.Store)


def _serve_it(store: Any) -> None:
    original = store.__init__

    @functools.wraps(original)
    def made(
        self: Any,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        *rest: Any,
        **options: Any,
    ) -> None:
        present, settled = absent_ranks.present(), absent_ranks.settled()
        if present is not None and settled is not None and world_size == settled[1]:
            world_size = None  # it would wait for so many
            if not is_master and 0 not in present and not _of_the_launcher(host_name, port):
                is_master = settled[0] == min(present)
        original(self, host_name, port, world_size, is_master, *rest, **options)

    store.__init__ = made


def _of_the_launcher(host: str, port: int) -> bool:
    """``torchrun`` serves the store of its ranks itself."""
    found = os.environ
    return (
        found.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        and found.get("MASTER_ADDR") == host
        and found.get("MASTER_PORT") == str(port)
    )


def _count_those_who_run(c10d: ModuleType) -> None:
    original = c10d._store_based_barrier

    @functools.wraps(original)
    def barrier(
        rank: int, store: Any, group_name: str, rendezvous_count: int, *rest: Any, **named: Any
    ) -> None:
        present = absent_ranks.present()
        if present is not None:
            world = c10d.get_world_size() if c10d.is_initialized() else rendezvous_count
            ranks = list(range(world))
            if rendezvous_count != len(ranks):
                ranks = groups.members_of(c10d, group_name) or ranks
            rendezvous_count = len(present.intersection(ranks))
        original(rank, store, group_name, rendezvous_count, *rest, **named)

    c10d._store_based_barrier = barrier  # type: ignore[attr-defined]


def _bound_the_wait(store: Any) -> None:
    """``get`` and ``wait``, as a script calls them; PyTorch's own C++ does not come by here."""
    get, wait = store.get, store.wait

    @functools.wraps(get)
    def bounded_get(self: Any, key: str) -> Any:
        _arrives(wait, self, [key], None)
        return get(self, key)

    @functools.wraps(wait)
    def bounded_wait(self: Any, keys: list[str], timeout: timedelta | None = None) -> None:
        _arrives(wait, self, keys, timeout)

    store.get, store.wait = bounded_get, bounded_wait


def _arrives(wait: Any, store: Any, keys: list[str], timeout: timedelta | None) -> None:
    present = absent_ranks.present()
    ours = timedelta(seconds=float(os.environ.get(WAIT) or _WAIT_S))
    if present is None or (timeout is not None and timeout <= ours):
        wait(store, keys) if timeout is None else wait(store, keys, timeout)
        return
    try:
        wait(store, keys, ours)
    except Exception as error:
        here = ",".join(map(str, sorted(present)))
        raise RuntimeError(
            f"expected a rank to write {', '.join(keys)!r:.200} to the store, found nothing after "
            f"{ours.total_seconds():g} s: of the ranks only {here} run; add the one that writes it to --ranks"
        ) from error
