"""A benchmark of a language model written from its formulas, as in Stanford's CS336, second assignment.

Explicit attention (einsum, mask, softmax), RoPE, SwiGLU, RMSNorm, untied weights, fp32 with TF32 matrix
products, and an AdamW of one's own. It knows nothing of nanocheck. ``python cs336.py [--size medium]
[--compile] [--warmup N] [--steps N]``
"""

import argparse
import math
import timeit

import torch
from torch import nn

SIZES = {"small": (12, 12, 768, 3072), "medium": (24, 16, 1024, 4096)}  # layers, heads, width, hidden
VOCABULARY = 10_000


class Linear(nn.Module):
    def __init__(self, fan_in, fan_out):
        super().__init__()
        std = math.sqrt(2 / (fan_in + fan_out))
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(fan_out, fan_in), std=std))

    def forward(self, x):
        return torch.einsum("...i,oi->...o", x, self.weight)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        x = x.to(torch.float32)
        rms = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
        x = x * rms
        return self.weight * x


def softmax(x):
    x = torch.exp(x - torch.max(x, dim=-1, keepdim=True)[0])
    return x / torch.sum(x, dim=-1, keepdim=True)


def rotate(x, cos, sin):
    first, second = x.unflatten(-1, (-1, 2)).movedim(-1, 0).unbind(0)
    return torch.concat((cos * first - sin * second, sin * first + cos * second), dim=-1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (Linear(width, width) for _ in range(4))

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, cos, sin):
        q, k, v = self.q(x), self.k(x), self.v(x)
        q, k, v = self.split(q), self.split(k), self.split(v)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        order = torch.arange(x.size(1), device=x.device)
        mask = (order[:, None] >= order[None, :])[None]
        scores = torch.einsum("...qd,...kd->...qk", q, k) / math.sqrt(q.size(-1))
        scores = torch.where(mask, scores, float("-inf"))
        weights = softmax(scores)
        mixed = torch.einsum("...qk,...kd->...qd", weights, v)
        mixed = mixed.transpose(1, 2).flatten(2).contiguous()
        return self.out(mixed)


class Block(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.attention = Attention(width, heads)
        self.gate, self.up, self.down = Linear(width, hidden), Linear(width, hidden), Linear(hidden, width)
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)

    def swiglu(self, x):
        gate = self.gate(x)
        return self.down(gate * torch.sigmoid(gate) * self.up(x))

    def forward(self, x, cos, sin):
        mixed = self.attention(self.norm1(x), cos, sin)
        between = x + mixed
        return between + self.swiglu(self.norm2(between))


class LanguageModel(nn.Module):
    def __init__(self, layers, heads, width, hidden, length):
        super().__init__()
        self.tokens = nn.Parameter(nn.init.trunc_normal_(torch.empty(VOCABULARY, width)))
        half = width // heads // 2
        angles = torch.outer(torch.arange(length), 10_000.0 ** -(torch.arange(half) / half))
        self.register_buffer("angles", torch.stack((angles.cos(), angles.sin())), persistent=False)
        self.blocks = nn.ModuleList([Block(width, heads, hidden) for _ in range(layers)])
        self.norm, self.head = RmsNorm(width), Linear(width, VOCABULARY)

    def forward(self, tokens):
        cos, sin = self.angles[:, : tokens.size(1)].unbind(0)
        x = self.tokens[tokens, :]
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(self.norm(x))


def log_softmax(x):
    x = x - torch.max(x, dim=-1, keepdim=True)[0]
    return x - torch.log(torch.sum(torch.exp(x), dim=-1, keepdim=True))


def cross_entropy(logits, targets):
    surprise = -log_softmax(logits)
    return torch.mean(torch.gather(surprise, -1, targets.unsqueeze(-1)))


class AdamW(torch.optim.Optimizer):
    def __init__(self, parameters, lr=1e-3, decay=0.01):
        super().__init__(parameters, {"lr": lr, "decay": decay})

    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                gradient, state, lr = weight.grad.data, self.state[weight], group["lr"]
                t = state.get("t", 1)
                rate = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                weight.data -= lr * group["decay"] * weight.data
                before_m = state.get("m", torch.zeros_like(gradient))
                before_v = state.get("v", torch.zeros_like(gradient))
                m = 0.9 * before_m + (0.1 * gradient)
                v = 0.999 * before_v + (0.001 * torch.square(gradient))
                weight.data -= rate * m / (torch.sqrt(v) + 1e-8)
                state["m"], state["v"], state["t"] = m, v, t + 1


parser = argparse.ArgumentParser()
parser.add_argument("--size", choices=SIZES, default="small")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--warmup", type=int, default=5)
parser.add_argument("--steps", type=int, default=10)
options = parser.parse_args()

torch.set_float32_matmul_precision("high")
data = torch.randint(0, VOCABULARY, (4, 513), device="cuda")
inputs, targets = data[:, :-1], data[:, 1:]
model = LanguageModel(*SIZES[options.size], length=512).to("cuda")
if options.compile:
    model = torch.compile(model)
print("parameters", sum(parameter.numel() for parameter in model.parameters()))
optimizer = AdamW(model.parameters())
for _ in range(options.warmup):
    optimizer.zero_grad()
    logits = model(inputs)
    loss = cross_entropy(logits, targets)
    loss.backward()
    optimizer.step()
optimizer.zero_grad(set_to_none=True)
torch.cuda.synchronize()
torch.cuda.empty_cache()
torch.cuda.reset_peak_memory_stats()
for _ in range(options.steps):
    start = timeit.default_timer()
    logits = model(inputs)
    loss = cross_entropy(logits, targets)
    torch.cuda.synchronize()
    loss.backward()
    torch.cuda.synchronize()
    optimizer.step()
    optimizer.zero_grad()
    torch.cuda.synchronize()
    print(f"{timeit.default_timer() - start:.4f} s")
print("peak", torch.cuda.max_memory_allocated())
print("reserved", torch.cuda.max_memory_reserved())
print("done", options.steps)
