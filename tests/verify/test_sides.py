"""A side on the virtual card: each case is bounded in time, and what it ran on is asked, not believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.core.gpus import FIGURES, find_gpu
from nanocheck.core.result import Outcome
from nanocheck.verify.cases import Case, load_cases
from nanocheck.verify.own_card import FILE, own_card
from nanocheck.verify.sides import Side
from nanocheck.virtual import card_environment, prepare

GPU = find_gpu("rtx4070")
CASES = {case.id: case for case in load_cases()}


@pytest.fixture(scope="module")
def virtual() -> Iterator[Side]:
    with Side(Target(kind="virtual", gpu=GPU)) as side:
        yield side


def test_the_card_describes_itself_as_the_catalog_does(virtual: Side) -> None:
    found = virtual.describe()
    assert found.card.name == GPU.name
    assert found.card.usable_bytes == GPU.usable_bytes["linux"]
    assert found.card.multiprocessors == GPU.sms
    assert found.card.l2_bytes == GPU.l2_bytes
    assert (found.driver, found.others_bytes) == (None, 0)  # it has no driver, and nobody else is on it


def children() -> set[int]:
    """Processes of ours."""
    return {
        int(each) for path in Path("/proc/self/task").glob("*/children") for each in path.read_text().split()
    }


def test_a_configuration_that_takes_too_long_is_ended_and_the_next_one_runs(virtual: Side) -> None:
    virtual.describe()
    before = children()
    late = virtual.run(CASES["plain"], 0.01)
    assert late.outcome is Outcome.TIMEOUT
    assert len(before - children()) == 1  # the server, and with it what ran
    assert children() < before
    seen = virtual.run(CASES["loop"])
    assert seen.outcome is Outcome.COMPLETED
    assert [each.phase for each in seen.phases] == ["build", "forward", "backward", "optimizer"]
    assert seen.allocated_bytes == max(each.allocated_bytes for each in seen.phases)
    assert seen.context_bytes == GPU.context_bytes
    assert seen.process_bytes == seen.reserved_bytes + GPU.context_bytes


def test_a_script_that_takes_too_long_is_ended(virtual: Side, tmp_path: Path) -> None:
    """One that never ends by itself: how far the limit lets a real script come hangs on the machine."""
    script = tmp_path / "sleeps.py"
    script.write_text("import time\nwhile True:\n    time.sleep(1)\n")
    before = children()
    late = virtual.run(Case(id="sleeps", tries="a script without an end", script=str(script)), 0.5)
    assert late.outcome is Outcome.TIMEOUT
    assert not late.is_answer
    assert children() == before


def test_a_script_that_fails_says_why_without_a_path(virtual: Side) -> None:
    seen = virtual.run(Case(id="broken", tries="a script that is none", script="no_such_script.py"))
    assert not seen.is_answer
    assert seen.detail
    assert "/" not in seen.detail


def test_the_virtual_gpu_in_the_real_ones_place_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """However it came there: nothing that ran on it may be called measured."""
    preloaded = {
        **prepare().launch_environment(),
        **card_environment(Target(kind="virtual", gpu=GPU)),
    }
    for name, value in preloaded.items():
        monkeypatch.setenv(name, value)
    with (
        Side(Target(kind="real", gpu=GPU)) as side,
        pytest.raises(MachineError, match="found the virtual GPU"),
    ):
        side.describe()


def test_a_card_that_the_catalog_does_not_hold_describes_itself(virtual: Side, tmp_path: Path) -> None:
    """All that decides about memory comes back as the catalog has it."""
    found, gpus = own_card(virtual, tmp_path, ())
    assert gpus == (tmp_path / FILE,)
    assert found.id == "nvidia-geforce-rtx-4070"
    same: dict[str, Any] = {
        name: {"linux": getattr(GPU, name)["linux"]} for name in ("usable_bytes", "usable_most_bytes")
    }
    for name in ("id", "sources", "bf16_tflops", "tgp_w", "nominal_bytes"):  # only a data sheet says these
        same[name] = getattr(found, name)
    assert found == replace(GPU, **same, bandwidth_gb_s=found.bandwidth_gb_s)
    assert found.bandwidth_gb_s == pytest.approx(GPU.bandwidth_gb_s, rel=0.002)
    assert all(
        "read" in source
        for name, source in found.sources.items()
        if name in FIGURES and name != "context_mib"
    )
