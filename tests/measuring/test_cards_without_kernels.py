"""A card that this PyTorch has no kernels for is never called safe, though the virtual one ran it all."""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec
import pytest
from observing import observe

from conftest import OnVirtual
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Outcome
from nanocheck.core.torch_builds import NO_KERNELS, has_kernels
from nanocheck.core.verdict import Kind

SCRIPT = "import torch\nheld = torch.zeros(2**20, device='cuda')\n"
#: More than 3,072 tokens are sorted: CUB asks which machine code its kernels have for the card.
SORTS = """import torch
table = torch.zeros(64, 8, device="cuda", requires_grad=True)
tokens = torch.zeros(4096, dtype=torch.long, device="cuda")
torch.nn.functional.embedding(tokens, table).sum().backward()
"""


def test_a_command_on_a_card_that_the_build_leaves_out(tmp_path: Path) -> None:
    seen = observe(SCRIPT, tmp_path, gpu="v100-16gb")
    (process,) = seen.processes()
    assert process.start is not None
    assert process.start.arches
    judged = seen.judged()
    if has_kernels("7.0", process.start.arches, process.start.cuda):
        assert judged.verdict.fits  # a build for CUDA 12.6
        return
    assert judged.result.outcome is Outcome.UNSUPPORTED
    assert judged.verdict.kind is Kind.UNSUPPORTED
    assert judged.verdict.sentence.startswith(NO_KERNELS)
    assert "CUDA 12.6 have them" in judged.verdict.sentence


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its build is that of these cards")
def test_a_card_of_other_machines_is_answered_with_a_note(tmp_path: Path) -> None:
    judged = observe(SORTS, tmp_path, gpu="jetson-thor").judged()
    assert judged.verdict.kind is Kind.SAFE
    assert any("aarch64" in note and "CUDA 13" in note for note in judged.result.notes)


@pytest.mark.parametrize("gpu", ["v100-32gb", "jetson-agx-orin", "rtx4070"])
def test_a_configuration_is_refused_in_the_same_way(on_virtual: OnVirtual, gpu: str) -> None:
    device = Target(kind="virtual", gpu=find_gpu(gpu)).device
    told = on_virtual("opens_card", msgspec.to_builtins(device), gpu=gpu).value
    refused = device.host is None and not has_kernels(device.capability, told["arches"], told["cuda"])
    assert told["refused"].startswith(NO_KERNELS) == refused
    assert refused == bool(told["refused"])
