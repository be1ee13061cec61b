"""Libraries with CUDA code of their own, and unusual ways to use the card, run to their end unmodified.

What ``nanocheck run`` says of such programs is tested in test_client_programs.py; here is what is left out.
"""

from __future__ import annotations

import pytest
from client_runs import printed, run_client

from nanocheck.core.units import GIB, MIB


@pytest.mark.slow
def test_eight_bits_a_state_are_a_quarter_of_the_state() -> None:
    """bitsandbytes' AdamW8bit against torch's own: two moments of one byte instead of two of four."""
    eight, full = (printed(run_client("bnb_adam8bit.py", "--optimizer", kind)) for kind in ("8bit", "torch"))
    saved = int(full["kept"]) - int(eight["kept"])
    # Six bytes a weight, less a scale per block of 256, more what the allocator rounds up in each tensor.
    assert saved == pytest.approx(6 * int(full["weights"]), rel=0.03)


def test_the_cs336_benchmark_against_a_real_card() -> None:
    """5.04 GiB on a real RTX PRO 6000 with torch 2.11 (duoan/cs336-assignment2-systems, small, eager)."""
    peak = int(printed(run_client("cs336.py", gpu="rtxpro6000"))["peak"])
    # From 2.12 on, both cuBLAS workspaces have 32 MiB there instead of 8,519,680 bytes (pytorch#175344).
    grown = 2 * (32 * MIB - 8_519_680) if workspaces_grew() else 0
    assert (peak - grown) / GIB == pytest.approx(5.04, rel=2e-3)


def workspaces_grew() -> bool:
    from nanocheck.virtual.installed_torch import find_torch

    major, minor = find_torch().version.split(".")[:2]
    return (int(major), int(minor)) >= (2, 12)
