"""The 8-bit AdamW of bitsandbytes (or the paged, or torch's own) on a plain transformer.

It knows nothing of nanocheck. ``python bnb_adam8bit.py [--optimizer 8bit|paged|torch] [--steps N]``
"""

import argparse

import bitsandbytes
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--optimizer", choices=["8bit", "paged", "torch"], default="8bit")
parser.add_argument("--steps", type=int, default=3)
options = parser.parse_args()

layers = [nn.TransformerEncoderLayer(512, 8, 2048, dropout=0.0, batch_first=True) for _ in range(6)]
model = nn.Sequential(nn.Embedding(4000, 512), *layers, nn.Linear(512, 4000)).cuda()
print("weights", sum(parameter.numel() for parameter in model.parameters()))
kinds = {
    "8bit": bitsandbytes.optim.AdamW8bit,
    "paged": bitsandbytes.optim.PagedAdamW8bit,
    "torch": torch.optim.AdamW,
}
optimizer = kinds[options.optimizer](model.parameters(), lr=1e-4)
for _ in range(options.steps):
    tokens = torch.randint(0, 4000, (4, 128), device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits = model(tokens)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
torch.cuda.synchronize()
print("kept", torch.cuda.memory_allocated())
print("peak", torch.cuda.max_memory_allocated())
print("done", options.steps)
