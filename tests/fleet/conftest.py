"""A Ray cluster of nodes that are only processes of this machine, one for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from paths import HELPERS, ROOT

_STORE_BYTES = 80 << 20


class FakeNodes:
    """The cluster; ``address`` is its head's, which runs nothing itself."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": _STORE_BYTES,
                "include_dashboard": False,
                "env_vars": _environment("head"),
            },
        )
        self.address: str = self._cluster.address

    def add(self, name: str, **resources: float) -> Any:
        """A node of one processor; what runs there finds its name in ``FLEET_NODE``."""
        return self._cluster.add_node(
            num_cpus=1,
            object_store_memory=_STORE_BYTES,
            memory=2 << 30,
            resources=resources,
            env_vars=_environment(name),
        )

    def remove(self, node: Any) -> None:
        """As if its power had gone."""
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        self._cluster.shutdown()


def _environment(name: str) -> dict[str, str]:
    return {"FLEET_NODE": name, "PYTHONPATH": f"{HELPERS}:{ROOT}"}


@pytest.fixture(scope="session")
def fake_nodes() -> Iterator[FakeNodes]:
    """Two nodes, of which ``card`` says that it has an RTX 4070."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'pytest-nanocheck[ray]'")
    try:
        nodes = FakeNodes()
    except Exception:  # Ray gives its own daemons 30 s to start, which a busy machine may not
        nodes = FakeNodes()
    try:
        nodes.add("plain")
        nodes.add("card", **{"nanocheck:rtx4070": 1})
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture
def cluster(fake_nodes: FakeNodes) -> Iterator[Any]:
    """A connection to it."""
    from nanocheck.fleet.ray_cluster import RayCluster

    cluster = RayCluster(fake_nodes.address)
    yield cluster
    cluster.close()
