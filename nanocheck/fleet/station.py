"""The far end: where configurations run. It holds one ``Measurement``, so torch is imported once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import msgspec

from nanocheck.fleet.cards import CardLease
from nanocheck.fleet.messages import Item, Report, Setup
from nanocheck.measuring.configurations import Measurement, Pending


class Station:
    """Runs what it is handed, ``workers`` at a time. Belongs to one thread.

    Args:
        card: the real card that is this station's own; it runs one configuration at a time.
    """

    def __init__(self, setup: Setup, workers: int, card: CardLease | None = None) -> None:
        self._running: tuple[tuple[str, str], ...] = ()
        self._queue: deque[Item] = deque()
        self._pending: dict[str, Pending] = {}
        self._card = card
        self._reserved = setup.target.reserve_bytes > 0
        self._workers = 1 if setup.target.kind == "real" else workers
        launch = dict(setup.launch_environment)
        if card is not None:
            launch.update(card.environment)
        self._measurement = Measurement(
            setup.target,
            workers=self._workers,
            deadlines=setup.deadlines,
            progress=self._see,
            task=setup.task,
            preload=setup.preload,
            launch_environment=launch,
            steps=setup.steps,
        )

    def exchange(self, items: Sequence[Item], patience: float) -> Report:
        """Take new items; work until one has ended, or for so many seconds; tell what ended.

        Raises:
            MachineError: nothing can run here, or others use the card: what ran meanwhile does not count.
        """
        self._queue.extend(items)
        until = time.monotonic() + patience
        while True:
            self._submit()
            answers = tuple(
                (key, msgspec.json.encode(pending.found))
                for key, pending in self._pending.items()
                if pending.found is not None
            )
            for key, _ in answers:
                del self._pending[key]
            left = until - time.monotonic()
            if answers or not self._pending or left <= 0:
                if answers:
                    self._look_at_card()
                return Report(answers, self._running)
            self._measurement.wait(left)

    def close(self) -> None:
        """Kill what runs, and give the card back. Idempotent."""
        self._measurement.close()
        if self._card is not None:
            self._card.release()

    def _submit(self) -> None:
        """A card is looked at before each configuration, while none of ours is on it."""
        while self._queue and (self._card is None or not self._pending):
            self._look_at_card()
            item = self._queue.popleft()
            pending = self._measurement.submit(item.config, record=item.record, target=item.target)
            self._pending[item.key] = pending

    def _look_at_card(self) -> None:
        """``--reserve`` says that others use the card, and how much of it: then they may."""
        if self._card is not None and not self._reserved:
            self._card.refuse_others()

    def _see(self, done: int, total: int, running: Sequence[tuple[str, str]]) -> None:
        self._running = tuple(running)
