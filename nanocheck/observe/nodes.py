"""A run on several nodes, all of whose ranks start on this machine: most of them only wait.

``torchrun --nnodes=2 --node_rank=0`` waits for the launcher of the other node, which is not there. So the
launcher is told of one node with the ranks of all, and each rank then finds what its own node's launcher
would have said. Its card is one of its node's; results number the cards of all nodes, one after the other.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from nanocheck.observe import host_room

#: The launcher's module, whose class every front end calls: torchrun, accelerate, torch.distributed.launch.
MODULE = "torch.distributed.launcher.api"
#: How many ranks a node has, in the environment of the ranks of several nodes.
PER_NODE = "NANOCHECK_RANKS_PER_NODE"
#: Which node this process is on, from 0.
NODE = "NANOCHECK_NODE"
#: How many cards a node has; the virtual GPU's own variable.
CARDS = "NANOCHECK_CARDS"


def take_place() -> None:
    """Give this rank what its own node's launcher would have set; nothing where there is one node."""
    per_node, rank = os.environ.get(PER_NODE, ""), os.environ.get("RANK", "")
    if not per_node.isdecimal() or not rank.isdecimal():
        return
    node, local = divmod(int(rank), int(per_node))
    nodes = int(os.environ.get("WORLD_SIZE", per_node)) // int(per_node)
    # torch.distributed.launch hands it over as a word of the command, too.
    sys.argv[1:] = [
        f"--local-rank={local}" if each == f"--local-rank={rank}" else each
        for each in getattr(sys, "argv", [""])[1:]
    ]
    os.environ.update(
        {
            NODE: str(node),
            "LOCAL_RANK": str(local),
            "LOCAL_WORLD_SIZE": per_node,
            "GROUP_RANK": str(node),
            "GROUP_WORLD_SIZE": str(nodes),
        }
    )
    if "NODE_RANK" in os.environ:  # not torchrun's own, but a job's script may have set it
        os.environ["NODE_RANK"] = str(node)


def card_in_run(slot: int) -> int:
    """A card of this process's node, as the run numbers the cards of all nodes."""
    node, cards = os.environ.get(NODE, "0"), os.environ.get(CARDS, "1")
    return int(node) * int(cards) + slot


def install() -> None:
    """Change what the launcher is asked for; called when its module was imported."""
    launcher = sys.modules[MODULE].elastic_launch
    begin = launcher.__init__

    def started(self: Any, config: Any, entrypoint: Any) -> None:
        bring_here(config)
        host_room.refuse_where_ranks_do_not_fit(config.nproc_per_node)
        begin(self, config, entrypoint)

    launcher.__init__ = started


def bring_here(config: Any) -> None:
    """Make of a ``LaunchConfig`` one whose launcher needs no other machine, in place.

    An elastic range of nodes (``--nnodes=1:4``) is taken at its most.
    """
    nodes, per_node = config.max_nodes, config.nproc_per_node
    cards = int(os.environ.get(CARDS, "1"))
    if per_node > cards:
        _say(
            f"{per_node} processes on a machine with {cards} virtual card{'s' * (cards > 1)}: --gpu "
            f"{per_node}x... has one for each"
        )
    if nodes == 1 and _is_here(config.rdzv_endpoint):
        return
    if nodes > 1:
        if getattr(config, "virtual_local_rank", False):
            raise SystemExit(
                "nanocheck: expected --virtual-local-rank on one node, found several: leave it away"
            )
        os.environ[PER_NODE] = str(per_node)
        config.min_nodes = config.max_nodes = 1
        config.nproc_per_node = nodes * per_node
        _say(f"{nodes} nodes of {per_node} ranks: all {nodes * per_node} start on this machine")
    config.rdzv_backend, config.rdzv_endpoint = "c10d", "localhost:0"
    config.rdzv_configs = {key: value for key, value in config.rdzv_configs.items() if key != "rank"}
    config.run_id = config.run_id or "none"
    config.local_addr = None


def _is_here(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0] or endpoint
    return host in ("", "localhost", "::1", "[::1]", socket.gethostname()) or host.startswith("127.")


def _say(words: str) -> None:
    sys.stderr.write(f"nanocheck: {words}\n")
    sys.stderr.flush()
