"""Which configurations are drawn, and how many: the two profiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.core.step_fields import ADAMWS

_chosen = "short"


def choose(profile: str) -> None:
    """``short`` or ``long``; called before the test modules are imported."""
    global _chosen
    _chosen = profile


def is_long() -> bool:
    return _chosen == "long"


def explored(short: int = 2, long: int = 8) -> settings:
    """How many examples a property gets; each is a list of configurations, run side by side.

    The short profile draws the same each time, so that a change somewhere else never finds something new
    in CI; the long one explores.
    """
    return settings(
        max_examples=long if is_long() else short,
        derandomize=not is_long(),
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def configurations(short: int = 2, long: int = 8, **fixed: Any) -> st.SearchStrategy[list[StepConfig]]:
    """Lists of small configurations of the eager step; ``fixed`` fields are the same in each of them."""
    size = long if is_long() else short
    drawn = _configurations().map(lambda config: replace(config, **fixed))
    return st.lists(drawn, min_size=size, max_size=size, unique_by=lambda config: config.id)


@st.composite
def _configurations(draw: st.DrawFn) -> StepConfig:
    heads = draw(st.sampled_from([1, 2, 3, 4, 8]))
    # Heads are usually a multiple of 8 wide: PyTorch pads or refuses other widths in its fast attention.
    eights = st.integers(-(-8 // heads), 64 // heads).map(lambda width: 8 * width)
    width = draw(st.one_of(eights, eights, eights, st.integers(-(-64 // heads), 512 // heads)))
    return StepConfig(
        n_layer=draw(st.integers(1, 4)),
        n_head=heads,
        n_embd=heads * width,
        block_size=draw(st.one_of(st.integers(16, 512), st.sampled_from([64, 128, 256, 512]))),
        vocab_size=draw(st.one_of(st.integers(100, 5000), st.sampled_from([256, 1024, 4096]))),
        bias=draw(st.booleans()),
        batch=draw(st.integers(1, 8)),
        accumulation=draw(st.integers(1, 6)),
        dtype=draw(st.sampled_from(["bf16", "fp16", "fp32", "tf32"])),
        optimizer=draw(st.sampled_from(ADAMWS)),
        allocator=draw(st.sampled_from(["default", "expandable"])),
        cycle=draw(st.sampled_from(["train", "full", "resume"])),
    )
