"""A language model of LSTMs."""

import last_words
import torch
from torch import nn
from torch.nn import functional

last_words.at_exit()
torch.manual_seed(1)
embedding, head = nn.Embedding(8000, 512).cuda(), nn.Linear(512, 8000).cuda()
layers = nn.LSTM(512, 512, num_layers=2, batch_first=True).cuda()
parameters = [*embedding.parameters(), *layers.parameters(), *head.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)
for _ in range(5):
    tokens = torch.randint(8000, (16, 257)).cuda()
    found, _ = layers(embedding(tokens[:, :-1]))
    loss = functional.cross_entropy(head(found).flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
