"""Leaving out the kernel compiler changes no byte: shown by compiling everything once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanocheck.config import StepConfig
from nanocheck.device import Device
from nanocheck.gpus import find_gpu
from nanocheck.harness.jobs import Job
from nanocheck.harness.measure import PRELOAD, PRELOAD_COMPILED, TASK
from nanocheck.harness.pool import Pool
from nanocheck.units import MIB
from nanocheck.virtual import card_environment, prepare

CARD = Device(kind="virtual", gpu=find_gpu("rtx4070"))
#: Rows longer than a kernel reduces at once make Inductor try several candidates, which is what allocates.
CONFIG = StepConfig(
    n_layer=1, n_head=4, n_embd=256, block_size=256, vocab_size=20000, batch=8, compile="default"
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2, prepare().launch_environment(), (*PRELOAD, *PRELOAD_COMPILED)) as opened:
        yield opened


def run(pool: Pool, folder: Path, **switches: bool) -> dict[str, Any]:
    environment = card_environment(CARD)
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    environment["TRITON_CACHE_DIR"] = str(folder / "triton")
    payload = {"config": CONFIG.to_dict(), "device": CARD.to_dict(), **switches}
    result = pool.submit(Job(id=CONFIG.id, task=TASK, payload=payload, environment=environment)).result()
    assert result.value is not None, result.output
    value: dict[str, Any] = result.value
    return value


def test_peaks_equal_those_of_a_fully_compiled_run(pool: Pool, tmp_path: Path) -> None:
    compiled = run(pool, tmp_path / "compiled", compile_kernels=True)
    left_out = run(pool, tmp_path / "left out")
    assert list((tmp_path / "compiled" / "triton").rglob("*.cubin"))
    assert not list((tmp_path / "left out" / "triton").rglob("*.cubin"))
    assert left_out["peaks"] == compiled["peaks"]


def test_a_warm_cache_changes_nothing(pool: Pool, tmp_path: Path) -> None:
    cold, warm = (run(pool, tmp_path) for _ in range(2))
    assert warm["peaks"] == cold["peaks"]


def test_what_autotuning_allocates_is_there(pool: Pool, tmp_path: Path) -> None:
    """The buffer that flushes the L2 cache, 36 MiB on this card, is what a naive shortcut would miss."""
    record = run(pool, tmp_path)
    first = [peak for peak in record["peaks"] if peak["step"] == 0 and peak["phase"] != "build"]
    later = [peak for peak in record["peaks"] if peak["step"] == 2]
    kept = max(peak["reserved_bytes"] for peak in later)
    assert kept >= max(peak["requested_bytes"] for peak in later) + 36 * MIB
    assert first
