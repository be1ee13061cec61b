"""A small GPT in four ways, as a script of any environment would be: needs torch alone, Python 3.9 or newer.

python benchmarks/torches_train.py eager|compiled|ddp|workers
"""

import os
import sys

import torch
from torch import nn
from torch.nn import functional

VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS, BATCH, STEPS = 8192, 256, 256, 4, 3, 8, 12


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        heads = self.qkv(self.norms[0](x)).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        return x + self.down(functional.gelu(self.up(self.norms[1](x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for layer in self.layers:
            x = layer(x)
        return functional.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


class Text(torch.utils.data.Dataset):
    def __len__(self):
        return 4096

    def __getitem__(self, index):
        tokens = torch.arange(index, index + LENGTH + 1) % VOCABULARY
        return tokens[:-1], tokens[1:]


def batches(workers):
    loader = torch.utils.data.DataLoader(
        Text(), batch_size=BATCH, num_workers=workers, pin_memory=workers > 0, shuffle=True
    )
    while True:
        yield from loader


def main():
    way = sys.argv[1]
    model = GPT().cuda()
    if way == "compiled":
        model = torch.compile(model)
    if way == "ddp":
        torch.distributed.init_process_group("nccl")
        model = nn.parallel.DistributedDataParallel(model, device_ids=[int(os.environ["LOCAL_RANK"])])
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    data = batches(2 if way == "workers" else 0)
    for step in range(STEPS):
        tokens, targets = (each.cuda(non_blocking=True) for each in next(data))
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 5 == 0:
            print("step", step, loss.item())
    print("peak", torch.cuda.max_memory_allocated())
    if way == "ddp":
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
