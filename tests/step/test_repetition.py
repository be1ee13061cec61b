"""Micro-batches and steps left out because they cannot change memory: shown by running all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import HELPERS

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.measuring.configurations import PRELOAD, TASK
from nanocheck.measuring.task import Task
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Pool
from nanocheck.step.repetition import Repetition
from nanocheck.virtual import card_environment, prepare

CARD = Target(kind="virtual", gpu=find_gpu("rtx4070"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    launch = {**prepare().launch_environment(), "PYTHONPATH": str(HELPERS)}
    with Pool(2, launch, PRELOAD) as opened:
        yield opened


def job(config: StepConfig, every: bool, steps: int | None) -> Job:
    environment = card_environment(CARD)
    if config.allocator == "expandable":
        environment["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
        environment["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    payload = msgspec.to_builtins(
        Task(config=config, device=CARD.device, every_micro_batch=every, steps=steps)
    )
    return Job(id=f"{config.id} {every} {steps}", task=TASK, payload=payload, environment=environment)


def ran(pool: Pool, config: StepConfig, every: bool = False, steps: int | None = None) -> RunResult:
    done = pool.submit(job(config, every, steps)).result()
    assert done.value is not None, done.output
    return msgspec.convert(done.value, RunResult)


def what_counts(result: RunResult) -> Any:
    return result.outcome, result.oom, result.main.peaks


configurations = st.builds(
    StepConfig,
    n_layer=st.integers(1, 4),
    n_head=st.just(4),
    n_embd=st.sampled_from([64, 192, 320]),
    block_size=st.sampled_from([64, 192, 256]),
    vocab_size=st.sampled_from([1000, 5003, 20000]),
    batch=st.integers(1, 12),
    accumulation=st.integers(1, 24),
    dtype=st.sampled_from(["bf16", "fp16", "fp32"]),
    allocator=st.sampled_from(["default", "expandable"]),
    bias=st.booleans(),
)


@settings(max_examples=15)
@given(config=configurations)
def test_leaving_out_changes_no_byte_of_any_phase(pool: Pool, config: StepConfig) -> None:
    every, some = (ran(pool, config, flag) for flag in (True, False))
    assert what_counts(every) == what_counts(some)
    assert every.micro_batches == config.accumulation


@pytest.mark.slow
@pytest.mark.parametrize("allocator", ["default", "expandable"])
def test_a_real_size_too_and_it_saves_most_of_the_work(pool: Pool, allocator: str) -> None:
    config = StepConfig(n_embd=576, batch=6, accumulation=40, allocator=allocator)
    every, some = (ran(pool, config, flag) for flag in (True, False))
    assert what_counts(every) == what_counts(some)
    assert every.micro_batches == 40
    assert some.micro_batches <= 20


def test_two_micro_batches_do_not_stand_for_all(pool: Pool) -> None:
    """The counter-example because of which two are not enough: expandable segments, 40 against 2."""
    sizes = {"n_embd": 576, "batch": 6, "dtype": "fp32", "allocator": "expandable"}
    forty, two = (ran(pool, StepConfig(**sizes, accumulation=count), False) for count in (40, 2))
    assert forty.micro_batches <= 20  # the rest was left out
    reserved = [max(peak.reserved_bytes for peak in each.main.peaks) for each in (forty, two)]
    requested = [max(peak.requested_bytes or 0 for peak in each.main.peaks) for each in (forty, two)]
    assert reserved[0] != reserved[1]
    assert requested[0] == requested[1]


SIZES = {"n_layer": 10, "n_head": 4, "n_embd": 288, "block_size": 128, "vocab_size": 1000, "batch": 7}


@pytest.mark.parametrize(
    "sizes",
    [
        {**SIZES, "bias": True},
        # The case because of which three steps are not enough: 10,406, then 11,366 MiB reserved.
        pytest.param({"batch": 6, "accumulation": 32, "allocator": "expandable"}, marks=pytest.mark.slow),
    ],
    ids=["small", "GPT-2 124M"],
)
def test_three_steps_do_not_stand_for_all(pool: Pool, sizes: dict[str, Any]) -> None:
    config = StepConfig(**{"accumulation": 1, "dtype": "fp32", **sizes})
    three, forty, settled = (ran(pool, config, steps=steps) for steps in (3, 40, None))
    assert len({peak.step for peak in settled.main.peaks}) < 20
    assert three.main.phase_peaks() != settled.main.phase_peaks() == forty.main.phase_peaks()


@given(start=st.integers(1, 6), period=st.integers(1, 5), total=st.integers(1, 60))
def test_the_last_layout_is_the_one_all_would_have_left(start: int, period: int, total: int) -> None:
    """Layouts 1, 2, ..., start, then a circle of ``period``: skipping must end on the right one."""

    def layout(done: int) -> int:
        return done if done < start else start + (done - start) % period

    repetition, done, last = Repetition(), 0, 0
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        while done < total:
            done += 1
            last = layout(done)
            patch.setattr("nanocheck.step.repetition.allocator_layout", lambda last=last: last)
            done += repetition.skippable(done, total)
    assert last == layout(total)
    assert done == total
