"""A driver of a fleet as a program of its own, to be killed: ADDRESS FOLDER QUICK HELD."""

from __future__ import annotations

import sys
from pathlib import Path

import fleet_tasks

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.fleet.choose import cluster_at
from nanocheck.fleet.fleet_measurement import FleetMeasurement
from nanocheck.fleet.ray_crew import RayCrew
from nanocheck.process.journal import Journal


def main(address: str, folder: Path, quick: int, held: int) -> None:
    """So many configurations that answer at once, then so many that wait for ``hold`` to go."""
    target = Target(kind="cpu", gpu=find_gpu("rtx4070"))
    wanted = [
        *fleet_tasks.configs(*range(1, quick + 1)),
        *fleet_tasks.configs(*range(1, held + 1), seed=fleet_tasks.HELD),
    ]
    with (
        Journal(folder / "journal.jsonl", {}) as journal,
        cluster_at(address) as cluster,
    ):
        assert cluster is not None
        with FleetMeasurement(
            target, RayCrew(cluster), journal=journal, **fleet_tasks.options(folder)
        ) as fleet:
            for pending in [fleet.submit(config) for config in wanted]:
                print(pending.result().id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
