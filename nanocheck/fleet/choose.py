"""Who measures: this process alone, several cards of this machine, or a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion, SelectedDevice, find_real_card
from nanocheck.core.gpus import find_gpu
from nanocheck.fleet.card_crew import CardCrew
from nanocheck.fleet.cards import cards_here
from nanocheck.fleet.fleet_measurement import FleetMeasurement
from nanocheck.measuring.configurations import Measurement
from nanocheck.process.jobs import Deadlines
from nanocheck.process.journal import Journal
from nanocheck.process.pool import Observer

if TYPE_CHECKING:
    from nanocheck.fleet.ray_cluster import RayCluster

AnyMeasurement = Measurement | FleetMeasurement


@contextlib.contextmanager
def cluster_at(address: str | None, workers: int = 2) -> Iterator[RayCluster | None]:
    """The cluster of ``--ray``; ``None`` where nobody asked for one.

    Raises:
        MachineError: Ray is not installed, or no cluster answers. RequestError: an address that is none.
    """
    if not address:
        yield None
        return
    from nanocheck.fleet.ray_cluster import RayCluster

    with contextlib.closing(RayCluster(address, workers)) as cluster:
        yield cluster


def select(question: CardQuestion, cluster: RayCluster | None) -> SelectedDevice:
    """The device that answers: a real card is looked for where the run will be.

    Raises:
        RequestError, MachineError: see ``choose_device``.
    """
    if cluster is None:
        return question.select(find_real_card)
    from nanocheck.fleet.ray_cluster import find_card

    gpu = find_gpu(question.gpu, question.gpus)
    return question.select(lambda: find_card(cluster, gpu))


def measurement(
    target: Target,
    *,
    cluster: RayCluster | None = None,
    workers: int = 2,
    journal: Journal | None = None,
    deadlines: Deadlines | None = None,
    progress: Observer | None = None,
    preload: Sequence[str] | None = None,
) -> AnyMeasurement:
    """Whoever measures what is asked; arguments as ``Measurement``'s.

    Wherever nvidia-smi knows the cards, a real one is leased and looked at for other users; of several alike
    each gets its share.
    """
    if cluster is not None:
        from nanocheck.fleet.ray_crew import RayCrew

        return FleetMeasurement(
            target, RayCrew(cluster), journal=journal, deadlines=deadlines, progress=progress, preload=preload
        )
    if target.kind == "real" and cards_here():
        return FleetMeasurement(
            target, CardCrew(), journal=journal, deadlines=deadlines, progress=progress, preload=preload
        )
    return Measurement(
        target, workers=workers, journal=journal, deadlines=deadlines, progress=progress, preload=preload
    )
