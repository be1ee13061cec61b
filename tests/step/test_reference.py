"""The step against nanoGPT's loop, plainly written: same operations, same order, same memory, same losses."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nanocheck.core.config import StepConfig
from nanocheck.step.model import GPT, initialise
from nanocheck.step.run import run_step

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

SMALL = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4, dtype="fp32")
TOKENS = np.random.default_rng(5).integers(0, 256, size=2000)


class Norm(nn.Module):
    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Attention(nn.Module):
    def __init__(self, c: StepConfig) -> None:
        super().__init__()
        self.c_attn = nn.Linear(c.n_embd, 3 * c.n_embd, bias=c.bias)
        self.c_proj = nn.Linear(c.n_embd, c.n_embd, bias=c.bias)
        self.resid_dropout = nn.Dropout(0.0)
        self.n_head = c.n_head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, width = x.size()
        q, k, v = self.c_attn(x).split(width, dim=2)
        k = k.view(b, t, self.n_head, width // self.n_head).transpose(1, 2)
        q = q.view(b, t, self.n_head, width // self.n_head).transpose(1, 2)
        v = v.view(b, t, self.n_head, width // self.n_head).transpose(1, 2)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(b, t, width)
        return self.resid_dropout(self.c_proj(y))


class Feedforward(nn.Module):
    def __init__(self, c: StepConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(c.n_embd, 4 * c.n_embd, bias=c.bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * c.n_embd, c.n_embd, bias=c.bias)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.c_fc(x)
        x = self.gelu(x)
        x = self.c_proj(x)
        return self.dropout(x)


class Layer(nn.Module):
    def __init__(self, c: StepConfig) -> None:
        super().__init__()
        self.ln_1 = Norm(c.n_embd, c.bias)
        self.attn = Attention(c)
        self.ln_2 = Norm(c.n_embd, c.bias)
        self.mlp = Feedforward(c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x  # noqa: RET504


class Plain(nn.Module):
    """With dropout modules at 0, and built the ordinary way."""

    def __init__(self, c: StepConfig) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(c.vocab_size, c.n_embd),
                "wpe": nn.Embedding(c.block_size, c.n_embd),
                "drop": nn.Dropout(0.0),
                "h": nn.ModuleList([Layer(c) for _ in range(c.n_layer)]),
                "ln_f": Norm(c.n_embd, c.bias),
            }
        )
        self.lm_head = nn.Linear(c.n_embd, c.vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, idx: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        t = idx.size(1)
        pos = torch.arange(0, t, dtype=torch.long, device=idx.device)
        tok_emb = self.transformer.wte(idx)
        pos_emb = self.transformer.wpe(pos)
        x = self.transformer.drop(tok_emb + pos_emb)
        for block in self.transformer.h:
            x = block(x)
        x = self.transformer.ln_f(x)
        logits = self.lm_head(x)
        loss = functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        return logits, loss


class Tape(TorchDispatchMode):
    """Every operation from the start mark on, with the bytes that are alive when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str, int]] = []
        self.alive_bytes = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = op(*args, **(kwargs or {}))
        shapes = []
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                shapes.append(f"{leaf.dtype}{tuple(leaf.shape)}")
                self._follow(leaf.untyped_storage())
        self.lines.append((str(op), " ".join(shapes), self.alive_bytes))
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.alive_bytes += size
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive_bytes -= size


@contextmanager
def ours_recorded(tape: Tape) -> Iterator[list[Tape]]:
    """The tape begins where training begins: building the model is a test of its own."""
    from nanocheck.step import training

    entered = []
    plain = training.Training.__post_init__

    def begin(self: training.Training) -> None:
        tape.__enter__()
        entered.append(tape)
        plain(self)

    training.Training.__post_init__ = begin  # type: ignore[method-assign]
    try:
        yield entered
    finally:
        training.Training.__post_init__ = plain  # type: ignore[method-assign]
        if entered:
            tape.__exit__(None, None, None)


def plain_losses(config: StepConfig, steps: int, tape: Tape | None = None) -> list[float]:
    """nanoGPT's train.py, as a flat loop."""
    model = Plain(config)
    donor = GPT(config)
    initialise(donor, config)
    model.load_state_dict(donor.state_dict())
    decay = [p for p in model.parameters() if p.dim() >= 2]
    nodecay = [p for p in model.parameters() if p.dim() < 2]
    extra: dict[str, Any] = {
        "adamw-fused": {"fused": True},
        "adamw-foreach": {"foreach": True},
        "adamw-loop": {"foreach": False},
    }[config.optimizer]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": nodecay, "weight_decay": 0.0}],
        lr=6e-4,
        betas=(0.9, 0.95),
        **extra,
    )
    scaler = torch.amp.GradScaler("cpu", enabled=config.dtype == "fp16")
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    ctx: Any = torch.amp.autocast("cpu", kinds[config.dtype]) if config.dtype in kinds else nullcontext()
    draws = torch.Generator().manual_seed(config.seed)
    data, size = TOKENS.astype(np.uint16), config.block_size

    def get_batch() -> tuple[torch.Tensor, torch.Tensor]:
        ix = torch.randint(len(data) - size, (config.batch,), generator=draws).tolist()
        x = torch.stack([torch.from_numpy(data[i : i + size].astype(np.int64)) for i in ix])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + size].astype(np.int64)) for i in ix])
        return x.to("cpu"), y.to("cpu")

    losses = []
    with tape or nullcontext():
        x, y = get_batch()
        for _ in range(steps):
            total = 0.0
            for _micro in range(config.accumulation):
                with ctx:
                    _logits, loss = model(x, y)
                    loss = loss / config.accumulation
                x, y = get_batch()
                scaler.scale(loss).backward()
                if tape is None:
                    total += loss.item()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            losses.append(total)
    return losses


def silent(phase: str, step: int) -> None:
    pass


VARIANTS = [
    SMALL,
    replace(SMALL, dtype="bf16"),
    replace(SMALL, dtype="fp16"),
    replace(SMALL, accumulation=3, dtype="bf16", bias=True),
    replace(SMALL, optimizer="adamw-foreach"),
    replace(SMALL, optimizer="adamw-loop", accumulation=2),
]


@pytest.mark.parametrize("config", VARIANTS, ids=lambda config: config.id)
def test_same_operations_with_the_same_bytes_alive(config: StepConfig) -> None:
    ours, theirs = Tape(), Tape()
    with ours_recorded(ours):
        run_step(config, "cpu", observe=silent, steps=3, micro_batches=config.accumulation, tokens=TOKENS)
    plain_losses(config, 3, theirs)
    assert [line[:2] for line in ours.lines] == [line[:2] for line in theirs.lines]
    assert [line[2] for line in ours.lines] == [line[2] for line in theirs.lines]
    assert len(ours.lines) > 100


@pytest.mark.parametrize("config", VARIANTS, ids=lambda config: config.id)
def test_losses_equal_the_plain_loop_s_bit_for_bit(config: StepConfig) -> None:
    outcome = run_step(
        config,
        "cpu",
        observe=silent,
        steps=6,
        micro_batches=config.accumulation,
        tokens=TOKENS,
        read_losses=True,
    )
    assert list(outcome.losses) == plain_losses(config, 6)


def test_the_tape_sees_a_name_that_is_dropped_early() -> None:
    # The comparison above can fail: without the logits between backward and forward, fewer bytes live.
    kept, dropped = Tape(), Tape()
    with kept:
        logits = torch.zeros(1000)
        torch.zeros(1)
    with dropped:
        logits = torch.zeros(1000)
        del logits
        torch.zeros(1)
    assert kept.lines[-1][2] > dropped.lines[-1][2]
