"""A Ray cluster: reached, looked at, and left as it was."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from dataclasses import dataclass
from typing import Any

from nanocheck.core.device_selection import RealCard
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.gpus import Gpu
from nanocheck.core.scrub import scrub
from nanocheck.fleet.messages import Kind

#: A cluster of this machine alone, for the time of one run.
LOCAL = "local"
#: What a node with a card is started with: ``ray start --resources='{"nanocheck:rtx4070": 1}'``.
RESOURCE = "nanocheck:"
#: Host memory that a configuration may take on the virtual GPU: of a node that has less, fewer run at once.
RUN_BYTES = 1 << 30
#: Nothing of ours is kept in Ray's store: results are some KiB, and travel with the answer.
_STORE_BYTES = 80 << 20
_HINT = "pip install 'pytest-nanocheck[ray]'"


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that answers.

    Attributes:
        id: Ray's own, random, so it names no machine. resources: as it was started.
    """

    id: str
    resources: dict[str, float]

    @property
    def cpus(self) -> int:
        return int(self.resources.get("CPU", 0))

    def slots(self, kind: Kind) -> int:
        """How many configurations of a kind it can run at once."""
        if kind.kind == "real":
            return min(self.cpus, int(self.resources.get(RESOURCE + kind.gpu, 0)))
        return min(self.cpus, int(self.resources.get("memory", 0)) // RUN_BYTES)


class RayCluster:
    """A connection, and the one that closes it.

    Args:
        address: ``local``, ``auto``, or ``host:port`` of the head.
        workers: processors of a ``local`` one.

    Raises:
        MachineError: Ray is not installed here, or no cluster answers there.
        RequestError: an address that is none.
    """

    def __init__(self, address: str, workers: int = 2) -> None:
        self.ray = import_ray()
        self._ours = not self.ray.is_initialized()
        _keep_stdout(self.ray)
        if self._ours:
            _connect(self.ray, address, workers)

    def nodes(self) -> list[Node]:
        """Those that answer, in one order."""
        found = [Node(each["NodeID"], dict(each["Resources"])) for each in self.ray.nodes() if each["Alive"]]
        return sorted(found, key=lambda node: node.id)

    def close(self) -> None:
        """Leave; a ``local`` cluster ends. Idempotent."""
        if self._ours:
            self._ours = False
            self.ray.shutdown()


def import_ray() -> Any:
    """
    Raises:
        MachineError: it is not installed.
    """
    # Read when it is imported. A measurement of somebody's memory tells nobody that it ran.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else every worker that asks for no card is warned of a change to come.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MachineError(f"expected Ray in this environment, found none ({error})", hint=_HINT) from error
    return ray


def _keep_stdout(ray: Any) -> None:
    """Ray prints what its daemons logged last, with addresses of machines, on the driver's stdout when a node
    is lost, and has no option for it: there may be a table there, or JSON. We say ourselves what was lost.
    """
    with contextlib.suppress(AttributeError):  # private: in another version it may have another name
        worker = ray._private.worker
        if callable(worker.print_to_stdstream):
            worker.print_to_stdstream = lambda *_, **__: None


def _connect(ray: Any, address: str, workers: int) -> None:
    quiet: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "include_dashboard": False,
    }
    if address == LOCAL:
        try:
            ray.init(address="local", num_cpus=workers, object_store_memory=_STORE_BYTES, **quiet)
        except Exception as error:  # of many types: a port, a full disk, a machine too busy for its patience
            raise MachineError(
                f"expected Ray to start here, found {type(error).__name__}: {_first_line(error)}",
                hint="run again on a less busy machine, or leave --ray away",
            ) from error
        return
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal() and "/" not in address):
        raise RequestError(
            f"--ray: expected local, auto, or the head's host:port, found {scrub(address)!r}",
            hint="ray start --head   # prints the address; Ray's client (ray://) is not supported",
        )
    if address != "auto":
        _refuse_silence(host, int(port))
    del quiet["include_dashboard"]
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise MachineError(
            f"expected a Ray cluster at {scrub(address)}, found none: {_first_line(error)}",
            hint="ray start --head   # on one machine, then on the others what it prints",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(scrub(str(error)).strip().splitlines()), "")


def _refuse_silence(host: str, port: int) -> None:
    """Ray itself would try for half a minute before it says that nobody is there."""
    try:
        with contextlib.closing(socket.create_connection((host, port), timeout=10)):
            return
    except OSError as error:
        raise MachineError(
            f"expected a Ray cluster at {scrub(host)}:{port}, found none: {error.strerror or error}",
            hint="ray status   # on the head; the address is the one that `ray start --head` printed",
        ) from error


def find_card(cluster: RayCluster, gpu: Gpu) -> RealCard | str:
    """For ``device_selection.choose_device``: whether a node says that it has this card."""
    if any(node.slots(Kind("real", gpu.id)) for node in cluster.nodes()):
        return RealCard(gpu.name, gpu.nominal_bytes)
    return f"no node of the cluster has the resource {RESOURCE}{gpu.id}"


def offered(nodes: list[Node]) -> str:
    """What a cluster has, in words."""
    found: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.resources.items():
            if name == "CPU" or name.startswith(RESOURCE):
                found[name] = found.get(name, 0) + amount
    parts = ", ".join(f"{scrub(name)} {amount:g}" for name, amount in sorted(found.items()))
    return f"{len(nodes)} node{'s' if len(nodes) != 1 else ''} with {parts or 'no processors'}"
