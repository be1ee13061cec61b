"""The virtual GPU as PyTorch sees it: every property is asked for through PyTorch, in a child."""

from __future__ import annotations

import itertools
import platform
import random
import re
from importlib import metadata

import pytest

from conftest import OnVirtual
from nanocheck.core.gpus import find_gpu, load_catalog
from nanocheck.core.torch_builds import has_kernels
from nanocheck.core.units import GIB, MIB
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Pool
from nanocheck.virtual import source_hash


@pytest.mark.parametrize("gpu", ["rtx4070", "rtx4070-laptop", "t4", "a100-40gb", "h100", "rtx5090"])
def test_pytorch_sees_the_card_of_the_catalog(on_virtual: OnVirtual, gpu: str) -> None:
    card = find_gpu(gpu)
    seen = on_virtual("properties", gpu=gpu).value
    assert seen["name"] == card.name
    assert seen["capability"] == list(card.capability)
    assert seen["sms"] == card.sms
    assert seen["threads_per_sm"] == card.max_threads_per_sm
    assert seen["l2_bytes"] == card.l2_bytes
    assert seen["total"] == card.usable_most_bytes["linux"]
    assert seen["free"] == card.usable_most_bytes["linux"] - card.context_bytes
    assert seen["count"] == 1
    assert seen["version"] == source_hash()


def test_platform_and_reserve_change_what_is_free(on_virtual: OnVirtual) -> None:
    card = find_gpu("rtx4070")
    windows = on_virtual("properties", platform="windows").value
    assert windows["total"] == card.usable_bytes["windows"] > card.usable_bytes["linux"]
    desktop = on_virtual("properties", reserve_bytes=2 * GIB).value
    assert desktop["free"] == card.usable_bytes["linux"] - card.context_bytes - 2 * GIB


@pytest.mark.parametrize("expandable", [False, True])
def test_every_reserved_byte_is_missing_from_the_free_ones(on_virtual: OnVirtual, expandable: bool) -> None:
    sizes = [1, 513, MIB, MIB + 1, 10 * MIB - 1, 10 * MIB, 33 * MIB + 5, 3 * GIB]
    start = on_virtual("properties").value["free"]
    rows = on_virtual("memory_adds_up", sizes, expandable=expandable).value
    assert all(free + reserved == start for free, reserved in rows)
    assert rows[-2][1] > sum(sizes)
    assert rows[-1] == [start, 0]


@pytest.mark.parametrize("expandable", [False, True])
def test_out_of_memory_is_pytorchs_own_error_with_real_figures(
    on_virtual: OnVirtual, expandable: bool
) -> None:
    found = on_virtual("out_of_memory", 11 * GIB, expandable=expandable).value
    assert "Tried to allocate 11.00 GiB" in found["message"]
    assert "total capacity of 11.60 GiB" in found["message"]
    free = re.search(r"of which ([\d.]+) GiB is free", found["message"])
    process = re.search(r"this process has ([\d.]+) GiB memory in use", found["message"])
    assert free is not None
    assert process is not None
    assert float(free.group(1)) + float(process.group(1)) == pytest.approx(11.60, abs=0.011)
    assert float(process.group(1)) == pytest.approx(1 + 178 / 1024, abs=0.03)
    assert found["again"] == MIB  # life goes on afterwards


def test_a_card_larger_than_the_machine_is_only_committed_where_it_is_written(on_virtual: OnVirtual) -> None:
    filled = on_virtual("fill_the_card", gpu="h100").value
    assert filled["pieces"] == 78  # 79.18 GiB less 568 MiB of context
    assert filled["resident"] < 2 * GIB


def test_what_the_program_wrote_is_read_back(on_virtual: OnVirtual) -> None:
    assert on_virtual("values").value == {
        "copied": [3, 1, 4, 1, 5],
        "sliced": [4, 1, 5],
        "zeros": True,
        "ones": [1.0] * 5,
        "full": [65536.0] * 3,
        "long": [-1] * 3,
        "bool": [True] * 3,
        "not filled": 9,
        "moved": list(range(10)),
    }


def test_tensors_with_gaps_are_filled_without_harm(on_virtual: OnVirtual) -> None:
    assert on_virtual("gaps").value is True


def test_a_grad_scaler_steps_whatever_memory_held_before(on_virtual: OnVirtual) -> None:
    assert on_virtual("scaler").value == {"states": 2, "scale": 65536.0}


def test_streams_and_events(on_virtual: OnVirtual) -> None:
    seen = on_virtual("streams_and_events").value
    assert seen["query"] == [True, True]
    assert seen["elapsed"] == 1.0  # constant: no choice may depend on how busy this machine is
    assert seen["grew"] == 20 * MIB  # the block of the other stream is not reused


@pytest.mark.parametrize("expandable", [False, True])
def test_cuda_graphs_hold_their_private_pool(on_virtual: OnVirtual, expandable: bool) -> None:
    result = on_virtual("graphs", expandable=expandable)
    assert result.value["held"] >= 8 * MIB, result.output
    assert result.value["capturing"] is False
    # Before torch 2.12 the capturing stream's cuBLAS workspace outlives the graph.
    assert result.value["released"] < result.value["held"]


def test_pinned_memory(on_virtual: OnVirtual) -> None:
    assert on_virtual("pinned").value == {"pinned": True, "plain": False, "same": True}


def test_a_large_copy_of_what_nobody_wrote_takes_no_memory_of_the_host(on_virtual: OnVirtual) -> None:
    sizes = random.Random(1)
    odd = [[sizes.randrange(9000), sizes.randrange(9000), 3 * MIB + sizes.randrange(9000)] for _ in range(6)]
    cases = [[0, 0, 64 * MIB, -1], [0, 0, 64 * MIB, 33 * MIB + 5]]
    cases += [[*case, known] for case in odd for known in (-1, sizes.randrange(3 * MIB), case[2] - 3)]
    rows = on_virtual("copied_out", cases).value
    assert all(row["same"] for row in rows)
    # What stood there before is given back; around a byte that somebody wrote, 2 MiB are copied.
    assert rows[0]["more"] < -60 * MIB
    assert rows[1]["more"] < -56 * MIB


def test_memory_snapshots_name_the_line(on_virtual: OnVirtual) -> None:
    taken = on_virtual("snapshot").value
    assert taken["segments"] == 1
    assert "snapshot" in taken["lines"]


@pytest.mark.parametrize("threads", [1, 4])
def test_what_we_ask_of_the_allocator_imports_no_compiler_and_hides_none(
    on_virtual: OnVirtual, threads: int
) -> None:
    taken = on_virtual("observers_snapshot", threads).value
    assert taken["as before"]
    assert len(taken["found"]) == threads
    for has_its_stacks, imported, compiler in taken["found"]:
        assert (has_its_stacks, compiler) == (True, "torch._inductor")
        assert threads > 1 or not imported  # several may come between each other


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader_workers(on_virtual: OnVirtual, workers: int) -> None:
    assert on_virtual("data_loader", workers).value == list(range(64))


def test_threads_leave_nothing_behind(on_virtual: OnVirtual) -> None:
    assert on_virtual("threads", 8).value == {"failures": [], "allocated": 0, "reserved": 0}


def _cudnn() -> tuple[int, int]:
    """Major and minor version of the installed cuDNN wheel."""
    name = next(each for each in ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12") if _installed(each))
    major, minor = metadata.version(name).split(".")[:2]
    return int(major), int(minor)


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize(
    ("gpu", "dtype", "backend"),
    [
        ("rtx4070", "bfloat16", "flash"),
        ("rtx4070", "float32", "efficient"),
        ("t4", "float16", "efficient"),
        ("t4", "bfloat16", "math"),
        ("a100-40gb", "float16", "flash"),
        ("h100", "bfloat16", "cudnn"),
        ("rtx5090", "bfloat16", "flash"),
    ],
)
def test_the_attention_backend_is_that_of_the_real_card(
    on_virtual: OnVirtual, gpu: str, dtype: str, backend: str
) -> None:
    if backend == "cudnn" and _cudnn() <= (9, 15):
        backend = "flash"  # PyTorch since 2.9.1 prefers cuDNN from 9.15.1 on
    result = on_virtual("attention", dtype, gpu=gpu)
    names = {"flash": "FlashAttention", "efficient": "EfficientAttention", "cudnn": "CudnnAttention"}
    assert result.value is not None, result.output
    assert result.value["launched"] == backend
    assert names.get(backend, "") in result.value["node"]
    assert ("Attention" in result.value["node"]) == (backend != "math")


@pytest.mark.parametrize(("gpu", "size"), [("rtx4070", 8_519_680), ("h100", 33_554_432)])
def test_each_thread_has_a_cublas_workspace_of_the_capability(
    on_virtual: OnVirtual, gpu: str, size: int
) -> None:
    seen = on_virtual("workspaces", gpu=gpu).value
    # A block may keep up to 1 MiB of unsplit slack; outputs of a few KiB come on top.
    assert size <= seen["forward"] < size + MIB + 64 * 1024
    assert size <= seen["backward"] < size + MIB + 64 * 1024


def _ends() -> list[str]:
    """Of each capability, the cards with the fewest and the most multiprocessors."""
    cards = sorted(load_catalog().values(), key=lambda gpu: (gpu.capability, gpu.sms, gpu.id))
    groups = [list(group) for _, group in itertools.groupby(cards, key=lambda gpu: gpu.capability)]
    return sorted({gpu.id for group in groups for gpu in (group[0], group[-1])})


@pytest.mark.parametrize("gpu", _ends())
def test_a_step_runs_on_every_capability_or_fails_as_it_would_there(on_virtual: OnVirtual, gpu: str) -> None:
    card = find_gpu(gpu)
    result = on_virtual("tiny_step", gpu=gpu)
    assert result.value is not None, result.output
    has_them = has_kernels(card.capability_text, result.value["arches"], result.value["cuda"])
    if has_them or card.host != platform.machine():
        assert result.value["failed"] == ""
        assert result.value["steps"] == 2
    else:
        assert "no kernel image is available" in result.value["failed"]


def test_a_call_that_nobody_answers_stops_with_its_name(on_virtual: OnVirtual) -> None:
    result = on_virtual("unanswered")
    assert result.outcome == "crashed"
    assert "the virtual GPU does not answer cusparseSpGEMM" in result.output
    assert "virtual_tasks.py" in result.output  # and where it came from


def test_no_card_is_chosen_no_card_is_seen(virtual_pool: Pool) -> None:
    job = Job(id="none", task="virtual_tasks:sees_a_card", environment={"NANOCHECK_CARD": None})
    assert virtual_pool.submit(job).result().value is False


def test_a_card_that_is_yet_to_be_chosen_counts(virtual_pool: Pool) -> None:
    """Imports that count cards in the server (Inductor, torch 2.9) must not conclude there are none."""
    job = Job(id="later", task="virtual_tasks:sees_a_card", environment={"NANOCHECK_CARD": "pending"})
    assert virtual_pool.submit(job).result().value is True


def test_one_server_serves_every_card(on_virtual: OnVirtual) -> None:
    names = [on_virtual("properties", gpu=gpu).value["name"] for gpu in ("t4", "h100", "t4")]
    assert names[0] == names[2] != names[1]
