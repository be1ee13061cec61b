"""The loss is found in autograd's graph also where PyTorch tells no sizes of it (before torch 2.5)."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nanocheck.observe import loss_graph


def graph_of_a_loss() -> loss_graph.LossGraph:
    head = torch.nn.Linear(8, 16)
    logits = head(torch.randn(4, 8).tanh().requires_grad_())
    loss = functional.cross_entropy(logits.float(), torch.randint(0, 16, (4,)))
    return loss_graph.of_roots([loss.grad_fn])


def test_without_sizes_the_same_operators_are_the_losss(monkeypatch: pytest.MonkeyPatch) -> None:
    told = graph_of_a_loss()
    monkeypatch.setattr(loss_graph, "_made", lambda node: ())
    untold = graph_of_a_loss()
    names = [sorted(each.name() for each in found.inside) for found in (told, untold)]
    assert names[0] == names[1] != []
    assert [size for way in told.ways for size, _ in way["made"]]
    assert not [size for way in untold.ways for size, _ in way["made"]]
