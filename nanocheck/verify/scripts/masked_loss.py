"""A loss over the labels that count only, as trainers of dialogues have it: a size follows from values."""

import last_words
import torch
from small_gpt import LENGTH, Gpt, batch_of
from torch.nn import functional

last_words.at_exit()
torch.manual_seed(1)
model = Gpt().cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
for step in range(6):
    tokens, labels = batch_of(8, LENGTH)
    labels[:, : 64 * (1 + step % 3)] = -100  # the question, which is not learned
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits = model(tokens)
        counts = labels != -100
        loss = functional.cross_entropy(logits[counts], labels[counts])
        places = counts.flatten().nonzero()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    print(f"step {step}: {places.numel()} labels")
