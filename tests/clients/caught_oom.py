"""Catches out-of-memories: ``skip`` leaves a too large batch out, ``search`` halves it until it fits.

Prints the batches that were trained on, and PyTorch's own peak since the last failure.
"""

import sys

import torch

WIDTH = 4096
layers = torch.nn.Sequential(*(torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))).cuda()
optimizer = torch.optim.AdamW(layers.parameters(), fused=True)
trained = []


def step(rows):
    layers(torch.zeros(rows, WIDTH, device="cuda")).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    trained.append(rows)


def forget():
    optimizer.zero_grad()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


if sys.argv[1] == "skip":
    for number in range(6):
        try:
            step(2**20 if number == 1 else 2**12)
        except torch.cuda.OutOfMemoryError:
            forget()
else:
    rows = 2**20
    while len(trained) < 4:
        try:
            step(rows)
        except torch.cuda.OutOfMemoryError:
            trained.clear()
            forget()
            rows //= 2
print("trained", *trained)
print("peak", torch.cuda.max_memory_allocated())
