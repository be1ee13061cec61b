"""torchao's 8-bit (or 4-bit) AdamW, which compiles its own update step.

It knows nothing of nanocheck. ``python torchao_adam8bit.py [--bits 4] [--steps N]``
"""

import argparse

import torch
from torch import nn
from torchao.optim import AdamW4bit, AdamW8bit

parser = argparse.ArgumentParser()
parser.add_argument("--bits", type=int, choices=[4, 8], default=8)
parser.add_argument("--steps", type=int, default=3)
options = parser.parse_args()

layers = [nn.TransformerEncoderLayer(512, 8, 2048, dropout=0.0, batch_first=True) for _ in range(4)]
model = nn.Sequential(nn.Embedding(4000, 512), *layers, nn.Linear(512, 4000)).cuda().bfloat16()
optimizer = (AdamW8bit if options.bits == 8 else AdamW4bit)(model.parameters(), lr=1e-4)
for _ in range(options.steps):
    tokens = torch.randint(0, 4000, (4, 128), device="cuda")
    loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print("kept", torch.cuda.memory_allocated())
print("peak", torch.cuda.max_memory_allocated())
print("done", options.steps)
