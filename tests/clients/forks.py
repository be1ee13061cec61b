"""Children with a GPU of their own: by ``os.fork`` before CUDA, by spawn after it.

It knows nothing of nanocheck. ``python forks.py``
"""

import os
import sys

import torch
import torch.multiprocessing as processes
from torch import nn


def train(width, steps):
    model = nn.Linear(width, width, device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        model(torch.randn(16, width, device="cuda")).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def child(number, answers):
    answers.put((number, train(1024 * (number + 1), 3)))


def main():
    torch.cuda.is_available()  # a question that must not keep the child from using CUDA
    reader, writer = os.pipe()
    forked = os.fork()
    if forked == 0:
        os.write(writer, str(train(512, 3)).encode())
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(forked, 0)
    assert status == 0, status
    print("forked", os.read(reader, 100).decode())
    print("peak", train(256, 3))
    answers = processes.get_context("spawn").SimpleQueue()
    processes.spawn(child, args=(answers,), nprocs=2)
    for number, peak in sorted(answers.get() for _ in range(2)):
        print(f"spawned{number}", peak)
    print("done", 3)


if __name__ == "__main__":
    main()
