"""The cards of this machine: which there are, who uses them, and a lease of one.

``nvidia-smi`` is asked, which opens no CUDA context and knows the cards by UUID, the one name that is the
same for every process whatever ``CUDA_VISIBLE_DEVICES`` says. Where it is missing nothing is known, and no
card is leased.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanocheck.core.device import Target
from nanocheck.core.device_selection import RealCard, is_same_card
from nanocheck.core.errors import MachineError
from nanocheck.virtual.cache import cache_folder, make_room

#: What NVIDIA's names of cards look like; nothing else may become the name of a file.
_UUID = re.compile(r"(GPU|MIG)-[0-9a-fA-F-]{8,64}")
_SECONDS = 30
#: The driver forgets a process that has just ended only after a moment.
_LINGERING_S = 3.0
_EVERY_S = 0.1


@dataclass(frozen=True)
class Card:
    """A card as the driver names it; ``total_bytes`` as nvidia-smi rounds it to MiB."""

    uuid: str
    name: str
    total_bytes: int


def cards_here() -> tuple[Card, ...]:
    """The cards that CUDA may see here, in nvidia-smi's order; none where nobody can tell.

    A card that is cut into MIG instances is left out: its UUID names no one of them.
    """
    found = []
    for row in _ask("--query-gpu=uuid,name,memory.total,mig.mode.current"):
        if len(row) == 4 and _UUID.fullmatch(row[0]) and row[2].isdigit() and row[3] != "Enabled":
            found.append(Card(row[0], row[1], int(row[2]) << 20))
    return visible(found, os.environ)


def visible(cards: Sequence[Card], environment: Mapping[str, str]) -> tuple[Card, ...]:
    """Those that ``CUDA_VISIBLE_DEVICES`` leaves. Its numbers count in CUDA's order, the fastest first, which
    is nvidia-smi's only where all cards are alike or ``CUDA_DEVICE_ORDER`` says so: else none is known.
    """
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return tuple(cards)
    by_bus = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({each.name for each in cards}) == 1
    found: list[Card] = []
    for word in (each.strip() for each in chosen.split(",")):
        if word.isdecimal():
            if not by_bus:
                return ()
            named = list(cards[int(word) : int(word) + 1])
        else:
            # CUDA takes the beginning of a UUID, if it is one card's alone.
            named = [each for each in cards if word.startswith("GPU-") and each.uuid.startswith(word)]
        if len(named) != 1 or named[0] in found:
            break  # CUDA stops at the first that it does not know
        found += named
    return tuple(found)


def users_of(uuid: str) -> tuple[int, ...]:
    """Process ids that have a CUDA context on a card, as far as this container may see them."""
    rows = _ask("--query-compute-apps=gpu_uuid,pid")
    return tuple(int(row[1]) for row in rows if len(row) == 2 and row[0] == uuid and row[1].isdigit())


class CardLease:
    """One card for this process alone, as far as other runs of nanocheck go.

    The kernel gives it back when the process ends, however it ends.

    Attributes:
        card: which.
    """

    def __init__(self, card: Card, lock: int) -> None:
        self.card = card
        self._lock = lock

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see this card, and no other."""
        return {"CUDA_VISIBLE_DEVICES": self.card.uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def refuse_others(self) -> None:
        """Look whether the card is ours alone; to be called while none of our own processes is on it.

        Raises:
            MachineError: somebody else is: what is measured beside them is no baseline.
        """
        until = time.monotonic() + _LINGERING_S
        while users := users_of(self.card.uuid):
            if time.monotonic() > until:
                raise MachineError(
                    f"expected {self.card.name} ({self.card.uuid}) for nanocheck alone, found "
                    f"{len(users)} other process{'es' if len(users) > 1 else ''} on it "
                    f"({', '.join(map(str, users[:4]))}): what is measured beside them is no baseline",
                    hint="end what else runs on it (nvidia-smi names it), choose another card with "
                    "CUDA_VISIBLE_DEVICES, or say how much of it is others': --reserve 1GiB",
                )
            time.sleep(_EVERY_S)

    def release(self) -> None:
        """Give it back. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def lease(card: Card) -> CardLease | None:
    """The card, or ``None`` while another run of nanocheck has it that shares this cache.

    Raises:
        MachineError: the folder of locks cannot be written.
    """
    path = cache_folder() / "cards" / f"{card.uuid}.lock"
    try:
        make_room(path.parent)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return CardLease(card, lock)


def leasable(target: Target) -> list[Card]:
    """The cards here that a target can run on; none where nobody can tell which there are.

    Raises:
        MachineError: there are cards, and it is none of them.
    """
    wanted = target.capped_from or target.gpu.name
    here = cards_here()
    alike = [
        each
        for each in here
        if each.name == target.capped_from
        or (target.capped_from is None and is_same_card(target.gpu, RealCard(each.name, each.total_bytes)))
    ]
    if here and not alike:
        raise MachineError(f"expected a {wanted}, found {', '.join(sorted({each.name for each in here}))}")
    return alike


def lease_one(target: Target) -> CardLease | None:
    """A free card for a target; ``None`` where nobody can tell which cards there are.

    Raises:
        MachineError: there is none, or every one is another run's.
    """
    alike = leasable(target)
    for card in alike:
        found = lease(card)
        if found is not None:
            return found
    if not alike:
        return None
    raise MachineError(
        f"expected a free {alike[0].name}, found {_all(len(alike))} leased to another run of nanocheck",
        hint="wait until it has ended",
    )


def _all(count: int) -> str:
    return "the only one" if count == 1 else f"all {count}"


def _ask(query: str) -> list[list[str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        if asked.returncode == 0:
            return [[cell.strip() for cell in row] for row in csv.reader(asked.stdout.splitlines())]
    return []
