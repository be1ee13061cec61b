"""Which buffers of generated code belong to the loss, and which only share a constant with it."""

from __future__ import annotations

from pathlib import Path

from observing import observe

SCRIPT = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    def linear(module, x):
        return F.linear(x, module.weight.to(x.dtype))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.values = nn.Embedding(8192, 256).bfloat16(), nn.Embedding(8192, 256).bfloat16()
            self.gate = nn.Linear(12, 2, bias=False)
            self.up, self.down = nn.Linear(256, 2048, bias=False), nn.Linear(2048, 256, bias=False)
            self.head = nn.Linear(256, 8192, bias=False)

        def forward(self, x, y):
            h = F.rms_norm(self.tokens(x), (256,))
            gate = torch.sigmoid(linear(self.gate, h[..., :12])).unsqueeze(-1)
            h = h + (gate * self.values(x).view(4, 512, 2, 128)).view(4, 512, 256)
            h = h + linear(self.down, F.relu(linear(self.up, h)).square())
            logits = linear(self.head, F.rms_norm(h, (256,))).float()
            logits = 15 * torch.tanh(logits / 15)
            return F.cross_entropy(logits.view(-1, 8192), y.view(-1), ignore_index=-1)

    model = Model().cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    compiled = torch.compile(model, dynamic=False)
    x = torch.ones(4, 512, dtype=torch.long, device="cuda")
    for _ in range(4):
        compiled(x, x).backward()
        optimizer.step()
        optimizer.zero_grad()
"""


def test_logits_are_told_from_what_only_has_the_size_of_a_gradient(tmp_path: Path) -> None:
    """The zeros of an embedding's gradient come from a constant of nll_loss_forward, says Inductor."""
    (process,) = observe(SCRIPT, tmp_path).judged().result.processes
    groups = {tuple(row.shape or ()): row.group for row in process.largest}
    assert groups[2048, 8192] == "logits and loss"
    assert groups[2048, 2048] == "activations"
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes
