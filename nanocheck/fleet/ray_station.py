"""A station as an actor of Ray: what runs in the process that Ray starts on a node. No Ray in here."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nanocheck.core.errors import NanocheckError
from nanocheck.fleet.cards import lease_one
from nanocheck.fleet.identity import take_over, versions
from nanocheck.fleet.messages import Item, Report, Setup, Unfit
from nanocheck.fleet.station import Station


class RayStation:
    """One on each node for configurations on the virtual GPU, one for each card for measured ones."""

    def __init__(self) -> None:
        self._station: Station | None = None

    def versions(self) -> dict[str, str]:
        """See ``identity``. Asked first, and answered in plain data: anything else needs equal sources."""
        return versions()

    def open(self, setup: Setup, workers: int) -> Unfit | None:
        """Be ready; ``None``, or why not."""
        assigned = os.environ.get("CUDA_VISIBLE_DEVICES")  # by Ray, where the node's cards are in its account
        try:
            take_over(setup.variables)
            card = None
            if setup.target.kind == "real":
                if assigned:
                    os.environ.update(CUDA_VISIBLE_DEVICES=assigned, CUDA_DEVICE_ORDER="PCI_BUS_ID")
                card = lease_one(setup.target)
            self._station = Station(setup, workers, card)
        except NanocheckError as error:
            return Unfit(error.problem, error.hint)
        return None

    def exchange(self, items: Sequence[Item], patience: float) -> Report | Unfit:
        """See ``Station.exchange``."""
        assert self._station is not None
        try:
            return self._station.exchange(items, patience)
        except NanocheckError as error:
            self._station.close()
            return Unfit(error.problem, error.hint)
