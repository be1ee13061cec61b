"""torch.compile changes when memory is used, never what is computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nanocheck.core.config import StepConfig
from nanocheck.step.run import RunOutcome, run_step

SMALL = StepConfig(n_layer=1, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4, dtype="fp32")
TOKENS = np.random.default_rng(5).integers(0, 256, size=2000)


def _losses(mode: str) -> RunOutcome:
    # Here, not above: whoever collects the tests would import the whole compiler.
    from torch._inductor import config as inductor

    # Starting compile processes takes longer than these kernels, and so do the headers of vector code.
    with inductor.patch({"compile_threads": 1, "cpp.simdlen": 1}):
        return run_step(
            replace(SMALL, compile=mode),
            "cpu",
            observe=lambda phase, step: None,
            steps=4,
            tokens=TOKENS,
            read_losses=True,
        )


@pytest.mark.slow
def test_compiled_losses_equal_eager_losses() -> None:
    # Fused kernels add in another order: fp32 rounding (6e-8), some hundred additions deep.
    torch.set_num_threads(1)
    eager, compiled = _losses("off"), _losses("default")
    np.testing.assert_allclose(compiled.losses, eager.losses, rtol=1e-5)
    np.testing.assert_allclose(compiled.grad_norms, eager.grad_norms, rtol=1e-4)
