"""Orthogonal weights, as some initialisations and optimizers make them, and a Fourier transform."""

import last_words
import torch
from torch import nn

last_words.at_exit()
torch.manual_seed(1)
layers = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(4))).cuda()
for layer in layers:
    nn.init.orthogonal_(layer.weight)
optimizer = torch.optim.SGD(layers.parameters(), lr=0.01)
for _ in range(4):
    mixed = torch.fft.rfft(torch.randn(256, 1024, device="cuda"), dim=1).abs()
    layers(nn.functional.pad(mixed, (0, 1024 - mixed.size(1)))).square().mean().backward()
    for layer in layers:
        gradient = layer.weight.grad
        values, vectors = torch.linalg.eigh(gradient @ gradient.T + torch.eye(1024, device="cuda"))
        layer.weight.grad = vectors @ (values.rsqrt().unsqueeze(1) * (vectors.T @ gradient))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
