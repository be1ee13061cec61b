"""accelerate's batch finder: it halves the batch until a training no longer runs out of memory.

It knows nothing of nanocheck. ``python accelerate_finder.py [--start BATCH]``
"""

import argparse

import torch
from accelerate import Accelerator
from accelerate.utils import find_executable_batch_size
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("--start", type=int, default=512)
options = parser.parse_args()

VOCABULARY, WIDTH, LENGTH = 32000, 512, 512
accelerator = Accelerator(mixed_precision="bf16")


@find_executable_batch_size(starting_batch_size=options.start)
def train(batch):
    accelerator.free_memory()
    torch.cuda.reset_peak_memory_stats()
    model = nn.Sequential(
        nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, 2048), nn.GELU(), nn.Linear(2048, VOCABULARY)
    )
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
    for _ in range(6):
        tokens = torch.randint(VOCABULARY, (batch, LENGTH), device=accelerator.device)
        loss = functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    return batch


print("batch", train())
print("peak", torch.cuda.max_memory_allocated())
