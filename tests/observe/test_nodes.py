"""A launcher that is told of several nodes starts the ranks of all, each as its own node's would have."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import observe

from nanocheck.observe import nodes


def config(**changes: object) -> SimpleNamespace:
    """As much of torch's ``LaunchConfig`` as is looked at."""
    plain = {
        "min_nodes": 1,
        "max_nodes": 1,
        "nproc_per_node": 1,
        "run_id": "",
        "rdzv_backend": "static",
        "rdzv_endpoint": "10.1.2.3:29400",
        "rdzv_configs": {"rank": 1, "timeout": 900},
        "local_addr": None,
    }
    return SimpleNamespace(**plain | changes)


@given(st.integers(1, 16), st.integers(1, 8))
def test_every_rank_finds_what_its_own_nodes_launcher_would_have_said(count: int, per_node: int) -> None:
    asked = config(min_nodes=1, max_nodes=count, nproc_per_node=per_node)
    with mock.patch.dict(os.environ, {nodes.CARDS: str(per_node)}):
        os.environ.pop(nodes.PER_NODE, None)
        nodes.bring_here(asked)
        assert asked.min_nodes == asked.max_nodes == 1
        assert asked.rdzv_endpoint == "localhost:0"
        assert asked.rdzv_configs == {"timeout": 900}
        world = asked.nproc_per_node
        assert world == count * per_node
        places = []
        for rank in range(world):
            # What torchrun says on the one node that it was told of.
            os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)})
            os.environ["LOCAL_WORLD_SIZE"] = str(world)
            nodes.take_place()
            nodes.take_place()  # as a child of the rank does
            local = int(os.environ["LOCAL_RANK"])
            places.append((rank // per_node if count == 1 else int(os.environ[nodes.NODE]), local))
            assert os.environ["LOCAL_WORLD_SIZE"] == str(per_node)
            assert nodes.card_in_run(local) == rank
    assert places == [(node, local) for node in range(count) for local in range(per_node)]


@pytest.mark.parametrize("endpoint", ["localhost:0", "127.0.0.1:29500", ""])
def test_a_launcher_on_one_node_that_waits_for_nobody_is_left_alone(endpoint: str) -> None:
    asked = config(rdzv_endpoint=endpoint)
    before = dict(vars(asked))
    nodes.bring_here(asked)
    assert vars(asked) == before


def test_the_word_of_the_older_launcher_follows() -> None:
    said = {nodes.PER_NODE: "8", "RANK": "13", "WORLD_SIZE": "16"}
    words = ["train.py", "--local-rank=13", "--local-rank", "13"]
    with mock.patch.dict(os.environ, said), mock.patch.object(sys, "argv", words):
        nodes.take_place()
        assert sys.argv == ["train.py", "--local-rank=5", "--local-rank", "13"]
        assert (os.environ["GROUP_RANK"], os.environ["GROUP_WORLD_SIZE"]) == ("1", "2")


def test_torchs_own_configuration_has_what_is_changed() -> None:
    from torch.distributed.launcher import api

    fields = {each.name for each in dataclasses.fields(api.LaunchConfig)}
    assert set(vars(config())) <= fields
    assert api.__name__ == nodes.MODULE


#: Two ranks on each of two nodes, of which the first and the last run; no rank speaks with another.
TRAIN = """
    import os, torch
    names = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE")
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    kept = torch.ones(1 << 20, device="cuda")
    said = " ".join(["rank", *(os.environ[each] for each in names), str(torch.cuda.device_count())])
    os.write(1, said.encode() + b"\\n")  # in one piece, since several ranks write
"""


def test_torchrun_on_two_nodes_needs_no_other_machine(tmp_path: Path) -> None:
    seen = observe(
        TRAIN,
        tmp_path,
        gpu="2xrtx4070",
        steps=0,
        ranks="0,3",
        launcher=(
            sys.executable,
            "-m",
            "torch.distributed.run",
            *("--nnodes=1:2", "--node_rank=1", "--nproc_per_node=2"),
            *("--rdzv_backend=c10d", "--rdzv_endpoint=node0.cluster:29400", "--rdzv_id=7"),
        ),
    )
    assert seen.ending.exit_code == 0, seen.stderr
    said = sorted(line for line in seen.stdout.splitlines() if line.startswith("rank"))
    assert said == ["rank 0 0 2 4 0 2 2", "rank 3 1 2 4 1 2 2"]
    assert sorted((each.rank, each.card) for each in seen.result().processes) == [(0, 0), (3, 3)]
    assert {path.name for path in (seen.folder / "machine").glob("card-*")} == {"card-0", "card-3"}
