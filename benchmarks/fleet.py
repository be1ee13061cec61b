"""Configurations a minute: one process, and a Ray cluster of fake nodes on this machine. Nothing is asserted.

    python benchmarks/fleet.py                     # every part
    python benchmarks/fleet.py driver --count 5000 # one of them

Parts:
  one     eager configurations of a tiny GPT on a virtual RTX 4070 in one process, by workers
  ray     the same on nodes of one processor each, every one a raylet of this machine
  driver  what the driver itself can take: stations that answer at once with a real result, a journal on disk;
          results a second, bytes of a record, memory of a result, seconds to open the journal again

Starts are not counted: the clock begins when every station, or the one server, has given a first answer. On
this machine's own processors a cluster cannot be faster than one process: what it costs is what is shown.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from tabulate import tabulate

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.fingerprint import fingerprint
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.fleet.fleet_measurement import FleetMeasurement
from nanocheck.fleet.messages import Ending, Item, Kind, Report, Setup
from nanocheck.measuring.configurations import Measurement
from nanocheck.process.journal import Journal

TARGET = Target(kind="virtual", gpu=find_gpu("rtx4070"))
STORE_BYTES = 80 << 20
#: Seconds to open a journal, and bytes of memory that it takes, in a process of its own.
OPEN = """
import sys, time
from pathlib import Path
from nanocheck.core.fingerprint import fingerprint
from nanocheck.process.journal import Journal
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
ours = fingerprint()
before, began = resident(), time.perf_counter()
journal = Journal(Path(sys.argv[1]), ours)
print(time.perf_counter() - began, resident() - before)
"""


def tiny(count: int, first: int = 1) -> list[StepConfig]:
    """One layer, 32 wide: what is left is what a configuration costs whatever it is."""
    sizes = {"n_layer": 1, "n_embd": 32, "n_head": 2, "vocab_size": 64, "block_size": 16}
    return [StepConfig.from_dict({"batch": batch, **sizes}) for batch in range(first, first + count)]


def timed(measurement: Any, warm: int, count: int) -> float:
    """Seconds of so many configurations, after so many."""
    for pending in [measurement.submit(each) for each in tiny(warm, 10_000)]:
        pending.result()
    began = time.perf_counter()
    for pending in [measurement.submit(each) for each in tiny(count)]:
        pending.result()
    return time.perf_counter() - began


def one(count: int) -> list[list[object]]:
    rows = []
    for workers in (1, 2):
        with Measurement(TARGET, workers=workers) as measurement:
            seconds = timed(measurement, 2, count)
        rows.append([f"one process, {workers} at once", count, seconds, 60 * count / seconds])
    return rows


def ray(count: int) -> list[list[object]]:
    from nanocheck.fleet.choose import cluster_at
    from nanocheck.fleet.ray_crew import RayCrew

    rows = []
    for nodes in (1, 2):
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES, memory=2 << 30)
        with (
            cluster_at(cluster.address) as connected,
            FleetMeasurement(TARGET, RayCrew(connected)) as fleet,
        ):
            seconds = timed(fleet, 8 * nodes, count)
        rows.append([f"Ray, {nodes} nodes of 1 processor", count, seconds, 60 * count / seconds])
        cluster.shutdown()
    return rows


class Post:
    """A station of 64 processors that needs no time."""

    name, workers = "node", 64

    def __init__(self, kind: Kind) -> None:
        self.kind = kind


class InstantCrew:
    """Answers with one real result under each configuration's name."""

    def __init__(self, example: RunResult, stations: int) -> None:
        self.example, self.stations = example, stations
        self.posts: list[Post] = []
        self.asked: list[tuple[Post, Sequence[Item]]] = []

    def offers(self, kind: Kind) -> None:
        pass

    def engage(self, kind: Kind, setup: Setup) -> None:
        self.posts = [Post(kind) for _ in range(self.stations)]

    def complaint(self, kind: Kind) -> None:
        pass

    def ready(self) -> list[Post]:
        return self.posts

    def begin(self, post: Post, items: Sequence[Item], patience: float) -> None:
        self.asked.append((post, items))

    def ended(self, timeout: float | None) -> list[tuple[Post, Ending]]:
        def answer(item: Item) -> tuple[str, bytes]:
            found = msgspec.structs.replace(self.example, config=item.config, device=item.target.device)
            return item.key, msgspec.json.encode(found)

        found: list[tuple[Post, Ending]] = [
            (post, Report(tuple(map(answer, items)))) for post, items in self.asked
        ]
        self.asked = []
        return found

    def dismiss(self, post: Post) -> None:
        pass

    def close(self) -> None:
        pass


def driver(count: int) -> list[list[object]]:
    with Measurement(TARGET) as measurement:
        example = measurement.submit(tiny(1)[0]).result()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        before = _resident()
        with Journal(path, fingerprint()) as journal:
            began, cpu = time.perf_counter(), time.process_time()
            with FleetMeasurement(TARGET, InstantCrew(example, 16), journal=journal) as fleet:
                for pending in [fleet.submit(each) for each in tiny(count)]:
                    pending.result()
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        held = _resident() - before
        size = path.stat().st_size
        opened = subprocess.run([sys.executable, "-c", OPEN, str(path)], stdout=subprocess.PIPE, check=True)
        again, entries = map(float, opened.stdout.split())
    print(
        f"driver: {1000 * cpu / count:.2f} ms of processor a result, {held / count:,.0f} bytes of memory; "
        f"journal: {size / count:,.0f} bytes a record, opened again in {1000 * again / count:.2f} ms each, "
        f"with {entries / count:,.0f} bytes of memory each"
    )
    return [["the driver alone", count, seconds, 60 * count / seconds]]


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


PARTS: dict[str, Callable[[int], list[list[object]]]] = {"one": one, "ray": ray, "driver": driver}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which; all by default")
    parser.add_argument("--count", type=int, help="configurations of a part (default 120; driver 5000)")
    arguments = parser.parse_args()
    rows = [
        PARTS[part](arguments.count or (5000 if part == "driver" else 120))
        for part in arguments.parts or PARTS
    ]
    print(f"{os.cpu_count()} processors, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    headers = ["who", "configurations", "seconds", "a minute"]
    print(tabulate(itertools.chain(*rows), headers, floatfmt=",.1f", tablefmt="simple"))


if __name__ == "__main__":
    sys.exit(main())
