"""Leaving out the kernel compiler changes no byte: shown by compiling everything once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.measuring.configurations import PRELOAD, PRELOAD_COMPILED, TASK
from nanocheck.measuring.task import Task
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Pool
from nanocheck.virtual import card_environment, prepare

CARD = Target(kind="virtual", gpu=find_gpu("rtx4070"))
#: Rows longer than a kernel reduces at once make Inductor try several candidates, which is what allocates.
CONFIG = StepConfig(
    n_layer=1, n_head=4, n_embd=256, block_size=256, vocab_size=20000, batch=8, compile="default"
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2, prepare().launch_environment(), (*PRELOAD, *PRELOAD_COMPILED)) as opened:
        yield opened


def run(pool: Pool, folder: Path, **switches: bool) -> RunResult:
    environment = card_environment(CARD)
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    environment["TRITON_CACHE_DIR"] = str(folder / "triton")
    payload = msgspec.to_builtins(Task(config=CONFIG, device=CARD.device, **switches))
    result = pool.submit(Job(id=CONFIG.id, task=TASK, payload=payload, environment=environment)).result()
    assert result.value is not None, result.output
    return msgspec.convert(result.value, RunResult)


@pytest.fixture(scope="module")
def cold(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A run that finds its caches empty, and the folder of these caches."""
    folder = tmp_path_factory.mktemp("cold")
    return folder, run(pool, folder)


@pytest.mark.slow
def test_peaks_equal_those_of_a_fully_compiled_run(
    pool: Pool, cold: tuple[Path, RunResult], tmp_path: Path
) -> None:
    _, left_out = cold
    compiled = run(pool, tmp_path, compile_kernels=True)
    assert list((tmp_path / "triton").rglob("*.cubin"))
    assert left_out.main.peaks == compiled.main.peaks


def test_a_warm_cache_changes_nothing(pool: Pool, cold: tuple[Path, RunResult]) -> None:
    folder, first = cold
    assert run(pool, folder).main.peaks == first.main.peaks
    assert not list((folder / "triton").rglob("*.cubin"))  # left out in both


def test_what_autotuning_allocates_is_there(cold: tuple[Path, RunResult]) -> None:
    """The buffer that flushes the L2 cache, 36 MiB on this card, is what a naive shortcut would miss."""
    peaks = cold[1].main.peaks
    first = [peak for peak in peaks if peak.step == 0 and peak.phase != "build"]
    later = [peak for peak in peaks if peak.step == 2]
    kept = max(peak.reserved_bytes for peak in later)
    assert kept >= max(peak.requested_bytes or 0 for peak in later) + 36 * MIB
    assert first
