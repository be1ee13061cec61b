"""Whether all ranks that are to run have room on the host, before a launcher starts any of them.

Ranks meet in collectives, so all must be there at once, and none can come when another has ended. What each
takes at the least is known in the launcher: it has imported the same torch.
"""

from __future__ import annotations

import os
from typing import NoReturn

from nanocheck.observe import absent_ranks, host_memory

#: The file of a run's folder that says that the ranks do not fit, and which would.
REFUSED = "no-room"
#: A rank that is left out only waits, in a Python without torch.
WAITING_BYTES = 7 << 20


def hint(running: int) -> str:
    """What to ask instead."""
    return f"--ranks 0,{absent_ranks.LAST} runs two of them" if running > 2 else "--ranks 0 runs one of them"


def refuse_where_ranks_do_not_fit(world: int) -> None:
    """In a launcher that has imported torch; ends it where the host has too little for so many ranks."""
    try:
        chosen = absent_ranks.chosen(os.environ.get(absent_ranks.VARIABLE, absent_ranks.ALL), world)
    except LookupError:
        return  # the ranks say so
    running = world if chosen is None else len(chosen)
    each, available = host_memory.own_bytes(), host_memory.available_bytes()
    needed = running * each + (world - running) * WAITING_BYTES
    if running < 2 or needed <= available:
        return
    _refuse(
        hint(running),
        f"expected {_gib(needed)} of the host's memory for {running} ranks, which have {each >> 20} MiB each "
        f"as soon as they have imported PyTorch, found {_gib(available)} available",
    )


def refused(folder: str) -> tuple[str, str] | None:
    """Why the ranks of a run do not fit the host and what to ask instead; None: nobody said that."""
    try:
        with open(os.path.join(folder, REFUSED), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            instead, _, why = file.read().partition("\n")
    except OSError:
        return None
    return why, instead


def _refuse(instead: str, why: str) -> NoReturn:
    path = os.path.join(os.environ["NANOCHECK_RUN"], REFUSED)  # noqa: PTH118 - as its neighbours
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"{instead}\n{why}")
    raise SystemExit(f"nanocheck: {why}")


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
