"""The allocator over the virtual GPU places every block where its model says, event by event.

The model (``allocator_model.py``) is written from PyTorch's rules and knows no CUDA. If the real
allocator, with the virtual GPU under it, agrees with it after each of tens of thousands of random
events, then it was told the truth about the card: what fits, what does not, what was given back. The
sequences are the same in every run.

More events per case: ``NANOCHECK_ALLOCATOR_EVENTS=20000 pytest tests/virtual/test_allocator.py -s``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from allocator_blocks import MIB
from process_tasks import open_pool

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.process.jobs import Job
from nanocheck.virtual import card_environment, prepare

EVENTS = int(os.environ.get("NANOCHECK_ALLOCATOR_EVENTS", "4000"))

#: PYTORCH_ALLOC_CONF, and the same for the model.
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("", {}),
    "expandable": ("expandable_segments:True", {"expandable": True}),
    "max-split": ("max_split_size_mb:64", {"max_split_bytes": 64 * MIB}),
    "divisions": ("roundup_power2_divisions:4", {"divisions": 4}),
    "collecting": ("garbage_collection_threshold:0.7", {"gc_threshold": 0.7, "fraction": 0.8}),
}
CASES = [("rtx4070", name, seed) for name in CONFIGURATIONS for seed in (1, 2, 3)]
CASES += [("a100-80gb", name, 4) for name in CONFIGURATIONS]


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    with open_pool(launch_environment=prepare().launch_environment(), preload=["torch"]) as pool:
        yield pool


def fuzz(pool: Any, card: str, configuration: str, seed: int, **payload: Any) -> dict[str, Any]:
    device = Target(kind="virtual", gpu=find_gpu(card))
    conf, settings = CONFIGURATIONS[configuration]
    payload = {
        "seed": seed,
        "events": EVENTS,
        "model": "faithful",
        "settings": settings,
        "free_bytes": device.available_bytes,
        **payload,
    }
    # torch before 2.9 knows only the second name.
    environment = {
        **card_environment(device),
        "PYTORCH_ALLOC_CONF": conf or None,
        "PYTORCH_CUDA_ALLOC_CONF": conf or None,
    }
    result = pool.submit(
        Job(id="fuzz", task="allocator_tasks:fuzz", payload=payload, environment=environment)
    ).result()
    assert result.outcome == "ok", result
    value: dict[str, Any] = result.value
    return value


@pytest.mark.parametrize(("card", "configuration", "seed"), CASES)
def test_equal_after_every_event(pool: Any, card: str, configuration: str, seed: int) -> None:
    found = fuzz(pool, card, configuration, seed)
    print(card, configuration, seed, found)
    assert found["difference"] is None, found["difference"]
    assert found["events"] == EVENTS
    # The sequence went where the rules are hard.
    assert found["empty_cache"]
    assert found["reset_peaks"]
    assert found["num_device_free"]
    assert found["num_ooms"]
    if configuration != "collecting":  # which leaves a retry nothing to win
        assert found["num_alloc_retries"] > found["num_ooms"]


@pytest.mark.parametrize(
    ("configuration", "mistake"),
    [
        ("default", {"tie_order": "creation"}),
        ("default", {"model": "splits at 1 MiB of slack"}),
        ("default", {"model": "does not split at 512 B of slack"}),
        ("default", {"model": "never merges"}),
        ("default", {"settings": {"divisions": 4}}),
        ("divisions", {"settings": {"divisions": 8}}),
        ("expandable", {"model": "does not split at 512 B of slack"}),
        ("expandable", {"model": "ignores growth"}),
        ("max-split", {"settings": {"max_split_bytes": 100 * MIB}}),
        ("max-split", {"model": "releases nothing early"}),
        ("collecting", {"model": "never collects"}),
        ("collecting", {"settings": {"gc_threshold": 0.6, "fraction": 0.8}}),
    ],
)
def test_one_wrong_rule_is_noticed(pool: Any, configuration: str, mistake: dict[str, Any]) -> None:
    """Each rule is exercised: the comparison fails without it."""
    assert fuzz(pool, "rtx4070", configuration, 1, **mistake)["difference"] is not None


@pytest.mark.parametrize("wrong_by", [-2 * MIB, 2 * MIB])
def test_a_granule_of_capacity_makes_a_difference(pool: Any, wrong_by: int) -> None:
    device = Target(kind="virtual", gpu=find_gpu("rtx4070"))
    free_bytes = device.available_bytes + wrong_by
    found = fuzz(pool, "rtx4070", "default", 1, free_bytes=free_bytes)
    assert found["difference"] is not None
