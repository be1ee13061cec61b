"""Whole programs: what "logits and loss" hold at their peak, where memory ran out, and in compiled code."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import observe

from nanocheck.attribution.process_figures import Figures
from nanocheck.core.result import Group, ProcessMemory

MIB = 1 << 20

BYTES = """
    import sys
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    B, T, C, V, L = 8, 512, 256, 128, 3

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(C), nn.LayerNorm(C)
            self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.up, self.down = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

        def forward(self, x):
            q, k, v = (t.view(B, T, 8, C // 8).transpose(1, 2) for t in self.qkv(self.n1(x)).split(C, 2))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(B, T, C))
            return x + self.down(F.gelu(self.up(self.n2(x))))

    blocks = [Block() for _ in range(L)]
    model = nn.Sequential(nn.Embedding(V, C), *blocks, nn.LayerNorm(C), nn.Linear(C, V)).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def loss_of(x, y):
        return F.cross_entropy(model(x).flatten(0, 1), y.flatten())

    if sys.argv[1:] == ["model"]:
        model = torch.compile(model)
    if sys.argv[1:] == ["loss"]:
        loss_of = torch.compile(loss_of)
    for step in range(3):
        x, y = torch.randint(V, (2, B, T), device="cuda")
        loss_of(x, y).backward()
        optimizer.step()
        optimizer.zero_grad()
"""


def most(process: ProcessMemory, group: str) -> int:
    """The most bytes that a group ever held."""
    timeline = process.timeline
    column = 2 + timeline.groups.index(group)
    return max(point[column] for point in timeline.points)


def of(groups: tuple[Group, ...], name: str) -> int:
    return next((row.bytes for row in groups if row.group == name), 0)


@pytest.mark.parametrize(
    "compiled",
    [(), pytest.param(("model",), marks=pytest.mark.slow), pytest.param(("loss",), marks=pytest.mark.slow)],
)
def test_a_vocabulary_as_wide_as_half_the_model(compiled: tuple[str, ...], tmp_path: Path) -> None:
    """Logits and log-probabilities of bytes have half the bytes of a residual: 2 MiB each, and 4 at once."""
    (process,) = observe(BYTES, tmp_path, *compiled, steps=0).judged().result.processes
    one = 8 * 512 * 128 * 4
    assert one == 2 * MIB
    assert one * (1 if compiled else 2) <= most(process, "logits and loss") <= 4 * one + MIB
    # Per layer: two norms, q, k, v, attention, two sums, as wide as the model, and the MLP's four and four.
    wide = 8 + 8 - (2 if compiled else 0)  # Inductor keeps fewer and computes the others again
    assert of(process.groups, "activations") >= 3 * wide * 2 * one - MIB
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes


SHIFTED = """
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    B, T, V, C = 4, 256, 16000, 64
    body, head = nn.Embedding(V, C).cuda(), nn.Linear(C, V, bias=False).cuda()
    optimizer = torch.optim.AdamW([*body.parameters(), *head.parameters()], fused=True)
    for step in range(3):
        tokens = torch.randint(V, (B, T), device="cuda")
        with torch.autocast("cuda", torch.bfloat16):
            logits = head(body(tokens))
        logits = logits.float()
        shifted = logits[:, :-1].contiguous()
        loss = F.cross_entropy(shifted.view(-1, V), tokens[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        del logits, shifted, loss
"""


def test_logits_with_one_position_more_than_the_loss_reads(tmp_path: Path) -> None:
    seen = observe(SHIFTED, tmp_path, steps=0)
    (process,) = seen.judged().result.processes
    whole, shifted = 4 * 256 * 16000, 4 * 255 * 16000
    # The fp32 copy, the shifted copy, log-probabilities; and going back their gradient and that of the copy.
    expected = 4 * whole + 4 * 4 * shifted
    assert expected <= of(process.groups, "logits and loss") <= expected + MIB
    assert of(process.groups, "activations") < 4 * MIB
    figures = Figures.of(seen.processes()[0])
    by_size = {one.requested_bytes: figures.groups[one.number] for one in figures.replay.allocations}
    assert by_size[2 * whole] == "logits and loss"  # what the head made, in bf16


DIES = """
    import torch
    import torch.nn.functional as F
    from torch import nn

    V, C, N = 64_000, 128, 8192
    body, head = nn.Linear(C, C).cuda(), nn.Linear(C, V, bias=False).cuda()
    held = torch.empty({held} << 20, dtype=torch.uint8, device="cuda")
    with torch.set_grad_enabled({grad}):
        x = torch.randn(N, C, device="cuda")
        logits = head(F.gelu(body(x)))
        F.cross_entropy(logits, torch.zeros(N, dtype=torch.long, device="cuda"))
"""


@pytest.mark.parametrize("grad", [True, False])
def test_memory_that_runs_out_in_the_first_loss(grad: bool, tmp_path: Path) -> None:
    """No backward has told anything yet: the loss function's own argument does."""
    answer = observe(DIES.format(held=9000, grad=grad), tmp_path).judged()
    assert answer.verdict.kind == "oom"
    oom = answer.result.processes[0].oom
    assert oom.requested_bytes >= 8192 * 64_000 * 4
    assert of(oom.groups, "logits and loss") == 8192 * 64_000 * 4
