"""Of which cards the model of time says anything: those whose kind it was fitted to."""

from __future__ import annotations

import msgspec
from timed_runs import GPU, timed

from nanocheck.core.gpus import load_catalog
from nanocheck.report.console import as_text
from nanocheck.report.time_text import time_blocks
from nanocheck.timing.card import fitted_capabilities, why_not_modelled
from nanocheck.timing.of_run import step_time


def test_the_model_is_silent_of_kinds_that_it_was_not_fitted_to() -> None:
    assert fitted_capabilities() == {"7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0"}
    silent = {gpu.id for gpu in load_catalog().values() if why_not_modelled(gpu.capability_text, gpu.name)}
    assert silent == {
        *("v100-16gb", "v100-32gb", "v100-pcie-16gb", "v100-pcie-32gb"),
        *("gtx1650", "gtx1660-super", "gtx1660-ti"),
        *("b300", "gb10", "jetson-agx-orin", "jetson-thor"),
    }


def test_a_run_on_such_a_card_has_no_time_and_says_why() -> None:
    result = timed(0.0001)
    assert step_time(result, GPU) is not None
    volta = load_catalog()["v100-16gb"]
    assert step_time(result, volta) is None
    device = msgspec.structs.replace(result.device, capability=volta.capability_text, name=volta.name)
    said = as_text(time_blocks(msgspec.structs.replace(result, device=device), None))
    assert "fitted to no card of compute capability 7.0" in " ".join(said.split())
