"""Programs that know nothing of nanocheck run on the virtual GPU to their end."""

from __future__ import annotations

from pathlib import Path

import pytest
from client_runs import printed, run_client

from nanocheck.core.units import GIB, MIB


@pytest.mark.parametrize("gpu", ["h100"])  # an RTX 4070 has a Trainer in test_client_programs.py
def test_an_unmodified_transformers_trainer(gpu: str, tmp_path: Path) -> None:
    found = printed(run_client("hf_trainer.py", str(tmp_path), gpu=gpu))
    assert found["device"] == "cuda:0"
    assert found["done"] == "3"
    # 4.5 M parameters with gradients and two moments of 4 bytes each are 70 MiB; the rest is activations.
    assert 70 * MIB < int(found["peak"]) < GIB
    assert any(tmp_path.glob("checkpoint-3/*"))


@pytest.mark.parametrize(
    ("batch", "length", "allocated_mib", "reserved_mib"),
    [pytest.param(4, 128, 2107.37, 2368, marks=pytest.mark.slow), (8, 256, 3037.84, 3330)],
)
def test_bert_against_a_real_t4(batch: int, length: int, allocated_mib: float, reserved_mib: float) -> None:
    """Measured on a real Tesla T4 with torch 2.11: highwaterlabs/torch-preflight, measured_peaks.json."""
    found = printed(run_client("bert.py", str(batch), str(length), gpu="t4"))
    assert found["dtype"] == "bfloat16", "as its script chooses on a T4, and with it math attention"
    assert int(found["allocated"]) / MIB == pytest.approx(allocated_mib, rel=5e-3)
    assert int(found["reserved"]) / MIB == pytest.approx(reserved_mib, rel=5e-3)


@pytest.mark.parametrize(
    ("attention", "allocated_mib", "reserved_mib"),
    [("eager", 1027.29443359375, 1104), ("sdpa", 1026.91943359375, 1070)],
)
def test_a_lora_step_against_a_real_t4(attention: str, allocated_mib: float, reserved_mib: int) -> None:
    """Two rows of benchmarks/t4_lora.csv, small enough for every run."""
    found = printed(run_client("hf_lora.py", f"--attention={attention}", gpu="t4"))
    assert int(found["peak"]) / MIB == pytest.approx(allocated_mib, rel=2e-3)
    assert int(found["reserved"]) / MIB == pytest.approx(reserved_mib, rel=5e-3)
