"""A small GPT under torch.compile."""

import last_words
import torch
from small_gpt import LENGTH, Gpt, batch_of
from torch.nn import functional

last_words.at_exit()
torch.manual_seed(1)
whole = Gpt()
whole.blocks = whole.blocks[:2]
model = torch.compile(whole.cuda())
optimizer = torch.optim.AdamW(whole.parameters(), lr=3e-4)
for _ in range(5):
    tokens, targets = batch_of(8, LENGTH)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
