"""The runs that the suites ask for, in one place: a small GPT-2, and what is done to it. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nanocheck.core.config import StepConfig
from nanocheck.numerics.plan import Plan

DTYPES = ("fp32", "bf16", "fp16")
COMPILED = ("off", "default")
#: GPT-2's tokens of real text, as many as have room: a step takes some milliseconds on one core.
SMALL = StepConfig(
    n_layer=2, n_head=4, n_embd=64, block_size=32, vocab_size=1024, batch=4, accumulation=1, dtype="fp32"
)
TEXT = "compact"
#: Sequences an optimizer step in the table of batch x accumulation.
SEQUENCES = 32
FACTORS = (1, 2, 4, 8, 16, 32)
TABLE_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class Case:
    """One parametrisation of a test: what is compared, and every run that it needs."""

    id: str
    plans: tuple[Plan, ...]


def exact_config(dtype: str, compiled: str) -> StepConfig:
    """The small GPT-2 in a number format, eager or compiled."""
    return replace(SMALL, dtype=dtype, compile=compiled)


def exact_cases(make: Callable[[Plan], tuple[Plan, ...]]) -> list[Case]:
    """One case for every number format and compile setting that the CPU offers.

    Args:
        make: the plans of a case, from the uninterrupted run, which saves after half of its steps.
    """
    found = []
    for dtype in DTYPES:
        for compiled in COMPILED:
            plan = Plan(config=exact_config(dtype, compiled), text=TEXT, save_after=8)
            found.append(Case(id=f"{dtype}-{'eager' if compiled == 'off' else 'compile'}", plans=make(plan)))
    return found


def resumed(plan: Plan) -> Plan:
    """The second half of a run, from its checkpoint, in another process."""
    assert plan.save_after is not None
    return replace(plan, resumes=plan, steps=plan.steps - plan.save_after, save_after=None)


def table_plan(batch: int, dtype: str, *, sequences: int = SEQUENCES, seed: int = StepConfig.seed) -> Plan:
    """One cell of batch x accumulation."""
    config = replace(SMALL, batch=batch, accumulation=sequences // batch, dtype=dtype, seed=seed)
    return Plan(config=config, text=TEXT, steps=TABLE_STEPS)


def family(dtype: str, sequences: int) -> str:
    """The runs that share a rounding error: gradients of fewer tokens a step are closer to their rounding."""
    return f"{dtype}-{sequences}"


def oracle(plan: Plan) -> Plan:
    """The same training from the formulas in fp64; precision, compiler and kernels do not matter to it."""
    config = replace(plan.config, dtype="fp32", compile="off", optimizer="adamw-fused", checkpointing="none")
    return Plan(config=config, steps=plan.steps, text=plan.text, oracle=True)


def table_oracle(*, sequences: int = SEQUENCES, seed: int = StepConfig.seed) -> Plan:
    """What every cell must meet: all sequences at once, in fp64."""
    return oracle(table_plan(sequences, "fp32", sequences=sequences, seed=seed))


def scaled_down(config: StepConfig) -> StepConfig:
    """What the memory suite asks of a card, at the size of ``SMALL``: the same way of training.

    Batch and size go, and with them what only memory knows of (allocator, CUDA graphs, the rest of a run).
    """
    return replace(
        SMALL,
        accumulation=min(config.accumulation, 4),
        dtype=config.dtype,
        compile="off" if config.compile == "off" else "default",
        optimizer=config.optimizer,
    )
