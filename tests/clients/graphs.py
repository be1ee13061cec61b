"""CUDA graphs three ways: captured by hand, ``make_graphed_callables``, and ``mode="reduce-overhead"``.

It knows nothing of nanocheck. ``python graphs.py [--way hand|callables|compile] [--steps N]``
"""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--way", choices=["hand", "callables", "compile"], default="hand")
parser.add_argument("--steps", type=int, default=5)
options = parser.parse_args()

model = nn.Sequential(nn.Linear(512, 2048), nn.ReLU(), nn.Linear(2048, 512)).cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, capturable=True)
given = torch.randn(64, 512, device="cuda")
wanted = torch.randn(64, 512, device="cuda")


def step(forward):
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.mse_loss(forward(given), wanted)
    loss.backward()
    optimizer.step()
    return loss


if options.way == "hand":
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(model)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step(model)
    for _ in range(options.steps):
        given.copy_(torch.randn(64, 512))
        graph.replay()
elif options.way == "callables":
    graphed = torch.cuda.make_graphed_callables(model, (given.clone(),))
    for _ in range(options.steps):
        loss = step(graphed)
else:
    compiled = torch.compile(model, mode="reduce-overhead")
    for _ in range(options.steps):
        torch.compiler.cudagraph_mark_step_begin()
        loss = step(compiled)
print("loss", loss.item())
print("peak", torch.cuda.max_memory_allocated())
print("reserved", torch.cuda.max_memory_reserved())
print("done", options.steps)
