"""Training steps with a part that one of NVIDIA's libraries computes: ``layers.py PART``.

Parts: lstm, gru, fft, sparse, convolution, profiler, orthogonal_, svd_lowrank, functions of torch.linalg.
"""

import contextlib
import sys

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

part = sys.argv[1]
embedding, head = nn.Embedding(256, 128).cuda(), nn.Linear(128, 256).cuda()
middle: nn.Module = nn.Identity()
if part in ("lstm", "gru"):
    middle = {"lstm": nn.LSTM, "gru": nn.GRU}[part](128, 128, num_layers=2, batch_first=True).cuda()
if part == "convolution":
    middle = nn.Sequential(nn.Conv1d(128, 128, 3, padding=1), nn.BatchNorm1d(128)).cuda()
optimizer = torch.optim.AdamW([*embedding.parameters(), *middle.parameters(), *head.parameters()])


def transformed(x: torch.Tensor) -> torch.Tensor:
    if part in ("lstm", "gru"):
        return middle(x)[0]
    if part == "convolution":
        return middle(x.transpose(1, 2)).transpose(1, 2)
    if part == "fft":
        return torch.fft.irfft(torch.fft.rfft(x, dim=1), n=x.shape[1], dim=1)
    if part == "sparse":
        eye = torch.sparse_csr_tensor(torch.arange(1025), torch.arange(1024), torch.ones(1024), (1024, 1024))
        return torch.sparse.mm(eye.cuda(), x.flatten(0, 1)).view_as(x)
    return x


def decomposed(grad: torch.Tensor) -> None:
    if part == "orthogonal_":
        nn.init.orthogonal_(torch.empty(256, 256, device="cuda"))
    elif part == "svd_lowrank":
        torch.svd_lowrank(grad, q=8)
    elif part in ("eigh", "cholesky", "inv", "slogdet"):
        getattr(torch.linalg, part)(grad.T @ grad)
    elif hasattr(torch.linalg, part):
        getattr(torch.linalg, part)(grad)


activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
with profile(activities=activities) if part == "profiler" else contextlib.nullcontext():
    for _ in range(4):
        x = embedding(torch.randint(256, (8, 128), device="cuda"))
        head(transformed(x)).square().mean().backward()
        decomposed(head.weight.grad)
        optimizer.step()
        optimizer.zero_grad()
print("peak", torch.cuda.max_memory_allocated())
