"""Positions made on the card, then asked whether they are one sequence, as transformers does.

It knows nothing of nanocheck.
"""

import torch

for _ in range(5):
    for batch, length in ((1, 64), (1, 1024), (1, 4096), (4, 2048)):
        positions = torch.arange(length, device="cuda").unsqueeze(0).expand(batch, -1)
        steps = torch.diff(positions, prepend=positions[:, :1] - 1, dim=-1)
        sequences = (steps != 1).cumsum(-1)
        print(f"{batch}x{length}", "one" if (sequences[:, -1] == 0).all() else "packed")
packed = torch.tensor([[0, 1, 2, 0, 1]]).cuda()
steps = torch.diff(packed, prepend=packed[:, :1] - 1, dim=-1)
print("two", "one" if ((steps != 1).cumsum(-1)[:, -1] == 0).all() else "packed")
print("peak", torch.cuda.max_memory_allocated())
