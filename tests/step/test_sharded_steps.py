"""One rank of several on the virtual GPU: to the byte what its formulas and a whole launch of ranks say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_steps import SMALL, Held

from nanocheck.core import memory_formulas, sharding
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.configurations import Measurement
from nanocheck.step.run import run_step
from nanocheck.timing.of_run import step_time

CARD = Target(kind="virtual", gpu=find_gpu("rtx4070"))
#: The loss that is kept, and int64 inputs and targets.
FP32_LOSS, TOKEN_BYTES = 4, 2 * 8


def config(**fields: Any) -> StepConfig:
    return StepConfig.from_dict({**SMALL, **fields})


SHARED = [
    {"ranks": 2, "sharding": "ddp"},
    {"ranks": 2, "sharding": "ddp", "optimizer": "adamw-8bit"},
    {"ranks": 3, "sharding": "zero1"},
    {"ranks": 3, "sharding": "zero1", "n_layer": 3},  # rank 1 keeps most
    {"ranks": 64, "sharding": "zero1"},
    {"ranks": 8, "sharding": "fsdp2"},
    {"ranks": 7, "sharding": "fsdp2", "optimizer": "adamw-loop"},
    {"ranks": 2, "sharding": "fsdp2", "weights": "bf16"},
    {"ranks": 1000, "sharding": "fsdp2", "bias": True},
]


@pytest.mark.parametrize("fields", SHARED, ids=str)
def test_what_a_rank_keeps_is_the_closed_forms(fields: dict[str, Any], held: Held) -> None:
    each, found = config(**fields), held(**fields)
    tokens = each.batch * each.block_size
    rest = found["workspaces"] + tokens * (TOKEN_BYTES + 2 * each.vocab_size) + FP32_LOSS
    kept = memory_formulas.static_bytes(each) - memory_formulas.gradient_bytes(each)
    assert found["build 0"] == memory_formulas.weight_bytes(each)
    assert found["optimizer 1"] - rest == kept
    assert found["backward 1"] - found["optimizer 1"] == memory_formulas.gradient_bytes(each)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_ddp_is_one_card_and_its_buckets(accumulation: int, held: Held) -> None:
    """All phases: the gradients once more, and nothing else of PyTorch's."""
    alone = held(accumulation=accumulation)
    found = held(accumulation=accumulation, ranks=8, sharding="ddp")
    buckets = 4 * config().parameters
    for phase in ("forward", "backward", "optimizer"):
        assert found[f"{phase} 1 peak"] - alone[f"{phase} 1 peak"] == buckets


def test_whole_parameters_of_a_block_come_and_go(held: Held) -> None:
    """A further block adds a shard of its weights, its gradients and its state, and its activations: not the
    weights themselves, whose copies are there for one block after the other."""
    two, four = (held(ranks=64, sharding="fsdp2", n_layer=layers, batch=1, block_size=1) for layers in (2, 4))
    block = 2 * (12 * 64 * 64 + 2 * 64)  # in bf16
    grown = four["forward 1 peak"] - two["forward 1 peak"]
    assert 0 < grown < block


@pytest.fixture(scope="module")
def measurement() -> Iterator[Measurement]:
    with Measurement(CARD, workers=1) as opened:
        yield opened


def test_results_say_which_rank_ran_and_have_no_time(measurement: Measurement) -> None:
    # Sizes at which the second of three ranks updates most.
    asked = config(ranks=3, sharding="zero1", n_layer=3)
    result = measurement.submit(asked, record=True).result()
    assert result.outcome == "completed", result.detail
    assert result.main.rank == sharding.rank_that_runs(asked) == 1
    assert any("rank 1 of 3" in note for note in result.notes)
    assert result.main.kernels is not None
    assert [(each.ranks, each.count) for each in result.main.communicators] == [(3, 1)]
    outside = result.main.process_bytes - result.main.reserved_bytes - CARD.device.context_bytes
    assert outside == result.main.nccl_least_bytes <= result.main.nccl_most_bytes
    assert result.main.nccl_most_bytes > 0
    assert step_time(result, CARD.gpu) is None


def test_it_dies_where_one_card_dies_and_says_so(measurement: Measurement) -> None:
    """An out-of-memory leaves a group with collectives under way: it must not wait for them."""
    asked = config(ranks=8, sharding="fsdp2", n_layer=4, n_embd=512, vocab_size=50304, batch=16)
    small = replace(CARD, reserve_bytes=CARD.available_bytes - 300 * MIB)
    result = measurement.submit(asked, target=small).result()
    assert result.outcome == "oom", result.detail
    assert result.oom is not None
    assert str(result.oom.where).startswith("nanocheck/step/")


@pytest.mark.parametrize(("device", "here"), [("cpu", "the CPU"), ("cuda", "one real GPU")])
def test_without_the_virtual_gpu_it_is_refused(
    device: str, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is built; of a worker this exit code is *unsupported*, see ``measuring.job_result``."""
    monkeypatch.delenv("NANOCHECK_CARD", raising=False)
    with pytest.raises(MachineError, match=here):
        run_step(config(ranks=2, sharding="ddp"), device, observe=lambda phase, step: None)


@pytest.mark.slow  # 15 s each: torchrun and two ranks, three Pythons with torch
@pytest.mark.parametrize("how", ["ddp", "zero1", "fsdp2"])
def test_the_rank_alone_is_that_rank_among_all(how: str, tmp_path: Path, measurement: Measurement) -> None:
    """The same step as both ranks of a launch, each a process: equal to the byte, and none needs more."""
    asked, answer = config(ranks=2, sharding=how), tmp_path / "answer.json"
    step = ["-m", "nanocheck.step.as_script", json.dumps(asked.to_dict())]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    card = ["--gpu", "2xrtx4070", "--ranks", "all", "--full", "--json", str(answer)]
    run = [sys.executable, "-m", "nanocheck", "run", *card, "--", *launcher, *step]
    ran = subprocess.run(run, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    judged = msgspec.json.decode(answer.read_bytes(), type=JudgedRun)
    among = {each.rank: each for each in judged.result.processes}
    assert among.keys() == {0, 1}
    alone = measurement.submit(asked).result().main
    same = among[sharding.rank_that_runs(asked)]
    assert (alone.allocated_bytes, alone.reserved_bytes) == (same.allocated_bytes, same.reserved_bytes)
    assert max(each.allocated_bytes for each in among.values()) == alone.allocated_bytes
