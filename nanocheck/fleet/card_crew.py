"""Several cards of this machine: a station for each that is free, in a thread of its own. No Ray."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from nanocheck.core.errors import MachineError, NanocheckError
from nanocheck.core.messages import say
from nanocheck.fleet.cards import CardLease, leasable, lease, lease_one
from nanocheck.fleet.messages import Ending, Item, Kind, Report, Setup, Unfit
from nanocheck.fleet.station import Station

#: How long a station works before it looks whether it is to end, in seconds.
_LOOK_EVERY_S = 0.2


@dataclass(eq=False)
class CardPost:
    """See ``messages.Post``."""

    name: str
    kind: Kind
    lease: CardLease | None
    threads: ThreadPoolExecutor
    setup: Setup
    over: threading.Event
    workers: int = 1
    station: Station | None = None

    def exchange(self, items: Sequence[Item], patience: float) -> Report | Unfit:
        """In the station's own thread, which its processes die with."""
        try:
            if self.station is None:
                self.station = Station(self.setup, 1, self.lease)
            rest = patience
            found = self.station.exchange(items, min(_LOOK_EVERY_S, rest))
            while not found.answers and rest > 0 and not self.over.is_set():
                rest -= _LOOK_EVERY_S
                found = self.station.exchange((), min(_LOOK_EVERY_S, max(rest, 0.0)))
            return found
        except NanocheckError as error:
            self.close()
            return Unfit(error.problem, error.hint)

    def close(self) -> None:
        if self.station is not None:
            self.station.close()
        elif self.lease is not None:
            self.lease.release()


class CardCrew:
    """See ``messages.Crew``: one station a card; of cards that another run has leased, none."""

    def __init__(self) -> None:
        self._posts: list[CardPost] = []
        self._running: dict[Future[Report | Unfit], CardPost] = {}
        self._complaints: list[str] = []

    def offers(self, kind: Kind) -> None:
        if kind.kind != "real":
            raise MachineError(f"expected a configuration for a real card, found one for a {kind.kind} one")

    def engage(self, kind: Kind, setup: Setup) -> None:
        self.offers(kind)
        alike = leasable(setup.target)
        free = [found for card in alike if (found := lease(card)) is not None]
        if not free:
            lease_one(setup.target)  # says why
        for number, found in enumerate(free or [None], 1):
            self._posts.append(
                CardPost(
                    name=f"card {number}",
                    kind=kind,
                    lease=found,
                    threads=ThreadPoolExecutor(1, f"card-{number}"),
                    setup=setup,
                    over=threading.Event(),
                )
            )

    def complaint(self, kind: Kind) -> str | None:
        if any(post.kind == kind for post in self._posts):
            return None
        return "; ".join(dict.fromkeys(self._complaints)) or "no card is free"

    def ready(self) -> Sequence[CardPost]:
        return list(self._posts)

    def begin(self, post: CardPost, items: Sequence[Item], patience: float) -> None:
        self._running[post.threads.submit(post.exchange, items, patience)] = post

    def ended(self, timeout: float | None) -> list[tuple[CardPost, Ending]]:
        found: list[tuple[CardPost, Ending]] = []
        for future in wait(self._running, timeout, FIRST_COMPLETED).done:
            post, ending = self._running.pop(future), future.result()
            if isinstance(ending, Unfit):
                self._complaints.append(ending.why)
                say(f"left out: {ending.why}")
            found.append((post, ending))
        return found

    def dismiss(self, post: CardPost) -> None:
        if post in self._posts:
            self._posts.remove(post)
            post.over.set()
            post.threads.submit(post.close)
            post.threads.shutdown(wait=True)

    def close(self) -> None:
        for post in self._posts:
            post.over.set()  # all at once, so that each ends while the others do
        for post in list(self._posts):
            self.dismiss(post)
        self._running.clear()
