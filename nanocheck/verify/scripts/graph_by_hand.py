"""Captures its whole step in a CUDA graph, as the documentation of PyTorch shows it."""

import last_words
import torch
from torch import nn

last_words.at_exit()
torch.manual_seed(1)
model = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024)).cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, capturable=True)
given, wanted = torch.randn(256, 1024, device="cuda"), torch.randn(256, 1024, device="cuda")


def step() -> None:
    optimizer.zero_grad(set_to_none=True)
    nn.functional.mse_loss(model(given), wanted).backward()
    optimizer.step()


side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side):
    for _ in range(3):
        step()
torch.cuda.current_stream().wait_stream(side)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    step()
for _ in range(5):
    given.copy_(torch.randn(256, 1024))
    graph.replay()
torch.cuda.synchronize()
