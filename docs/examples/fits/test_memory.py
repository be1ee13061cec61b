"""What the project promises of its memory; on a machine without a GPU, too."""

from __future__ import annotations

import pytest
import torch
from model import GPT, train


@pytest.mark.fits("rtx3060", "rtx4070", margin="1GiB")
def test_batch_8_fits_the_cards_we_promise() -> None:
    train(GPT().to("cuda"), batch=8)


def test_a_step_needs_what_it_needed(gpu_memory: object) -> None:
    train(GPT().to("cuda"), batch=4)
    assert gpu_memory.peak < 4 * 2**30
    assert gpu_memory.phases["optimizer"][0] < gpu_memory.phases["backward"][0]
    gpu_memory.assert_unchanged()


@pytest.fixture
def model() -> GPT:
    return GPT(layers=2).to("cuda")


class TestWithAFixture:
    @pytest.mark.fits("rtx4070")
    @pytest.mark.parametrize("batch", [1, 2])
    def test_any_batch(self, model: GPT, batch: int) -> None:
        train(model, batch)
        assert torch.cuda.get_device_name() == "NVIDIA GeForce RTX 4070"
