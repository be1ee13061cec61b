"""Does torch.compile's cache tell bf16 autocast from fp16? Plain PyTorch on the CPU; it knows no nanocheck.

python benchmarks/autocast_cache.py

One small model is compiled under bf16 autocast, then in a new process under fp16 with the same cache, and
once more with an empty one. Where the second loss is the first, to the last bit, fp16 silently ran the graph
of bf16. Exit 1 if so. Seen with torch 2.9.1 and 2.11.0, not with 2.14.1 (pytorch#181564).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

TRAIN = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(
    nn.Embedding(256, 32), nn.LayerNorm(32), nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 256)
)
tokens, targets = torch.randint(256, (2, 128))
compiled = torch.compile(model)
found = []
for each in (model, compiled):
    with torch.autocast("cpu", dtype=getattr(torch, sys.argv[1])):
        loss = nn.functional.cross_entropy(each(tokens), targets)
    loss.backward()
    found.append(loss.item())
print(*found)
"""


def losses(dtype: str, cache: str) -> tuple[str, str]:
    """The eager loss and the compiled one, of a process of their own."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, dtype],
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    eager, compiled = done.stdout.split()
    return eager, compiled


def main() -> int:
    with tempfile.TemporaryDirectory() as shared, tempfile.TemporaryDirectory() as empty:
        first = losses("bfloat16", shared)
        second = losses("float16", shared)
        alone = losses("float16", empty)
    print("| autocast | cache | eager loss | compiled loss |\n|---|---|---|---|")
    print(f"| bf16 | empty | {first[0]} | {first[1]} |")
    print(f"| fp16 | bf16's | {second[0]} | {second[1]} |")
    print(f"| fp16 | empty | {alone[0]} | {alone[1]} |")
    stale = second[1] == first[1] != alone[1]
    print("fp16 ran bf16's graph" if stale else "the cache tells them apart")
    return int(stale)


if __name__ == "__main__":
    raise SystemExit(main())
