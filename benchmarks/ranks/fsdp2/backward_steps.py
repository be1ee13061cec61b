"""What each step's backward pass takes at most, beyond weights and inputs; both programs here print it."""

import torch
from torch import nn

WIDTH, STEPS = 512, 3


def backward_overheads(model: nn.Module) -> list[int]:
    """Bytes, step by step, of a model whose inputs are ``WIDTH`` wide, with plain SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        inputs = torch.randn(2, WIDTH, device="cuda", dtype=torch.bfloat16)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        model(inputs).float().sum().backward()
        torch.cuda.synchronize()
        found.append(torch.cuda.max_memory_allocated() - before)
        optimizer.step()
    return found
