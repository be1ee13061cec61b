"""Looks for the largest batch that fits: catches the error, halves, and trains with what it found."""

import time

import last_words
import torch
from torch import nn

WIDTH = 4096
last_words.at_exit()
torch.manual_seed(1)
model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(4))).cuda()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)


def step(rows: int) -> None:
    inputs = torch.zeros(rows, WIDTH, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(inputs).float().square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


# A batch whose inputs alone are as large as the card, so that the first ones fit on none.
rows, trained = torch.cuda.get_device_properties(0).total_memory // (4 * WIDTH), 0
while trained < 4:
    try:
        step(rows)
        trained += 1
    except torch.cuda.OutOfMemoryError:
        trained = 0
        rows //= 2
        # An error of the backward comes out of autograd's own thread, which lets go of its tensors a moment
        # later: without a pause what is still allocated below, and so the peak, is another in every run.
        time.sleep(0.5)
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
print("rows", rows)
