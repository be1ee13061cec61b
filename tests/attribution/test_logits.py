"""What is called "logits and loss" is what lies between the head and the loss, whatever its size.

A program notes of each tensor what it is, its address and how many allocations there had been; its gradients
likewise. The vocabulary is as wide as the hidden layer of the MLP, half or an eighth of it, so that sizes say
nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observing import observe

from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.journal_entries import Loss, Way
from nanocheck.attribution.logits import find
from nanocheck.attribution.process_figures import Figures
from nanocheck.attribution.replay import Replay

WAYS = """
def mean(flat, y, **more):
    return F.cross_entropy(flat, y.flatten(), **more)

def plain(head, x, y):
    return mean(logits(head(x)).flatten(0, 1), y)

def shifted(head, x, y):
    full = logits(logits(head(x)).float())
    return mean(logits(full[:, :-1].contiguous()).view(-1, full.size(-1)), y[:, 1:])

def capped(head, x, y):
    full = logits(head(x))
    full = logits(15 * logits(torch.tanh(logits(full / 15))))
    return mean(full.flatten(0, 1), y)

def in_place(head, x, y):
    full = logits(head(x))
    full.div_(0.7)
    return mean(full.flatten(0, 1), y)

def smooth(head, x, y):
    return nn.CrossEntropyLoss(label_smoothing=0.1)(logits(head(x)).transpose(1, 2), y)

def in_parts(head, x, y):
    full = logits(head(x)).log_softmax(-1)
    return F.nll_loss(logits(full).flatten(0, 1), y.flatten())

def by_hand(head, x, y):
    full = logits(head(x))
    lower = logits(full - full.max(-1, keepdim=True)[0])
    powers = logits(lower.exp())
    return (powers.sum(-1).log() - lower.gather(-1, y[..., None])[..., 0]).mean()

def preferred(head, x, y):
    full = logits(head(x))
    picked = full.gather(-1, y[..., None]).squeeze(-1) - full.logsumexp(-1)
    return -F.logsigmoid(picked.sum(-1)).mean()

def in_chunks(head, x, y):
    def part(some, wanted):
        return F.cross_entropy(logits(head(some)), wanted, reduction="sum")
    parts = zip(x.flatten(0, 1).chunk(4), y.flatten().chunk(4))
    return sum(checkpoint(part, *each, use_reentrant=False) for each in parts) / y.numel()

def in_chunks_again(head, x, y):
    def part(some, wanted):
        return F.cross_entropy(logits(head(some)), wanted, reduction="sum")
    parts = zip(x.flatten(0, 1).chunk(4), y.flatten().chunk(4))
    return sum(checkpoint(part, *each, use_reentrant=True) for each in parts) / y.numel()

class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, y):
        full = note("logits", x.flatten(0, 1) @ weight.t())
        likely = note("logits", full.softmax(-1))
        ctx.save_for_backward(x, weight, likely)
        return likely.gather(-1, y.flatten()[:, None]).mean()

    @staticmethod
    def backward(ctx, given):
        x, weight, likely = ctx.saved_tensors
        grad = note("logits", likely * given)
        return (grad @ weight).view_as(x), grad.t() @ x.flatten(0, 1), None

def fused(head, x, y):
    return Own.apply(x, head.weight, y)

class EachToken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, y):
        likely = note("logits", note("logits", x.flatten(0, 1) @ weight.t()).log_softmax(-1))
        ctx.save_for_backward(x, weight)
        return likely.gather(-1, y.flatten()[:, None])[:, 0]

    @staticmethod
    def backward(ctx, given):
        x, weight = ctx.saved_tensors
        full = note("logits", x.flatten(0, 1) @ weight.t())
        grad = note("logits", full.softmax(-1) * given[:, None])
        return (grad @ weight).view_as(x), grad.t() @ x.flatten(0, 1), None

def fused_each_token(head, x, y):
    return -EachToken.apply(x, head.weight, y).mean()

def fused_frozen_head(head, x, y):
    picked = EachToken.apply(x, head.weight.detach(), y)
    return -picked.new_zeros(y.shape).masked_scatter(torch.ones_like(y, dtype=torch.bool), picked).mean()

class Picked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, full, y):
        likely = note("logits", full.log_softmax(-1))
        ctx.save_for_backward(likely)
        return likely.gather(-1, y.flatten()[:, None])[:, 0]

    @staticmethod
    def backward(ctx, given):
        (likely,) = ctx.saved_tensors
        return note("logits", likely.exp() * given[:, None]), None

def own_each_token(head, x, y):
    return -Picked.apply(logits(head(x)).flatten(0, 1), y).mean()

def two_heads(head, x, y):
    return mean(logits(head(x)).flatten(0, 1), y) + mean(logits(head(x)).flatten(0, 1), y.flip(-1))

def with_router(head, x, y):
    balance = F.softmax(x[..., :4], -1).mean((0, 1)).square().sum()
    return mean(logits(head(x)).flatten(0, 1), y) + balance

def no_loss_over_classes(head, x, y):
    return note("model", head(x), "model").square().mean()
"""

PROGRAM = f"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

B, T, C = 4, 64, 32

def note(kind, tensor, gradient=None):
    made = torch.cuda.memory_stats()["allocation.all.allocated"]
    print("note", variant, kind, made, tensor.untyped_storage().data_ptr())
    if tensor.requires_grad and gradient:
        tensor.register_hook(lambda given: note(gradient, given))
    return tensor

def logits(tensor):
    return note("logits", tensor, "logits")

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(C), nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x):
        wide = note("model", self.up(self.norm(x)), "model")
        return note("model", x + self.down(note("model", F.gelu(wide), "model")), "model")

for V in (C // 2, C, 2 * C, 4 * C, 16 * C):
    for cast in (False, True):
        # A file for each: what a line made with one vocabulary says nothing of another.
        ways = dict(globals())
        exec(compile({WAYS!r}, f"ways-{{V}}-{{cast}}.py", "exec"), ways)
        for way in {re.findall(r"^def (?!mean)([a-z_]+)", WAYS, re.MULTILINE)}:
            variant = f"{{way}}-{{V}}-{{cast}}"
            body = nn.Sequential(nn.Embedding(V, C), Block(), Block(), nn.LayerNorm(C)).cuda()
            head = nn.Linear(C, V, bias=False).cuda()
            optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
            for step in range(2):
                x, y = torch.randint(V, (2, B, T)).cuda()
                with torch.autocast("cuda", torch.bfloat16, enabled=cast):
                    # A loss that has the head inside makes the hidden states' gradient itself.
                    loss = ways[way](head, note("model", body(x), not way.startswith("fused") and "model"), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            body.eval()
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=cast):
                ways[way](head, note("model", body(x), "model"), y)
            body.train()
            del loss
"""


#: Logits of exactly the bytes of what the head reads, changed in place or with scratch memory of that size:
#: see docs/limits.md. Each other way is right there, too.
LIMITS = {"in_place-32-False", "preferred-32-False", "by_hand-32-True", "own_each_token-32-False"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> tuple[Figures, dict[str, list[tuple[str, str]]]]:
    """The figures, and for each variant what its tensors are and the groups they were given."""
    seen = observe(PROGRAM, tmp_path_factory.mktemp("program"), steps=0)
    assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    (observation,) = seen.processes()
    assert observation.broken is None
    figures = Figures.of(observation)
    by_address = defaultdict(list)
    for one in figures.replay.allocations:
        by_address[one.address].append(one.number)
    noted = defaultdict(list)
    for line in seen.stdout.splitlines():
        _, variant, kind, made, address = line.split()
        number = max(each for each in by_address[int(address)] if each < int(made))
        noted[variant].append((kind, figures.groups[number]))
    return figures, noted


def test_logits_are_told_from_what_is_as_large(process: Any) -> None:
    _, noted = process
    assert len(noted) == 10 * 17
    wrong = defaultdict(set)
    for variant, tensors in noted.items():
        assert {kind for kind, _ in tensors} >= {"model"}
        for kind, group in tensors:
            if (kind == "logits") != (group == "logits and loss"):
                wrong[variant].add((kind, group))
    assert set(wrong) <= LIMITS, dict(wrong)


def test_the_groups_still_sum_to_the_peak(process: Any) -> None:
    figures, _ = process
    allocated, _ = figures.peak()
    assert sum(row.bytes for row in figures.table(figures.peak_event, allocated)) == allocated
    assert figures.replay.surprises == 0


SIZES = st.sampled_from([1 << 10, 2 << 10, 4 << 10, 8 << 10])
BODIES = st.lists(SIZES, max_size=12)
#: Operators from the head on: the size of what each makes, and whether in place where it can.
OPERATORS = st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=8)
OTHER = 512


def found_and_true(
    body: list[int], hidden: int, operators: list[tuple[int, bool]], older: tuple[int, ...]
) -> tuple[set[int], set[int]]:
    """What is found, and what is logits, where a body and the hidden states come before the operators."""
    sizes = [*body, hidden]
    made: list[tuple[int, tuple[int, ...]]] = []
    logits = set()
    before = hidden
    for size, in_place in operators:
        if not (made and in_place and size == before):
            logits.add(len(sizes))
            sizes.append(size)
        made.insert(0, (size, (before,)))
        before = size
    events = [("a", 1 << 20 << number, size, 0) for number, size in enumerate(sizes)]
    seen = Observation(stacks=[(("train.py", 1, "step"),)], events=events)
    way = Way(made=tuple(made), read=(hidden,), older=older)
    seen.losses.append(Loss(allocations=len(sizes), ways=(way,)))
    return find(seen, Replay().feed(events).allocations, [None], [False]), logits


@given(BODIES, OPERATORS)
def test_whatever_the_model_had_of_the_same_size(body: list[int], operators: list[tuple[int, bool]]) -> None:
    found, true = found_and_true(body, OTHER, operators, ())
    assert found == true


@given(BODIES, OPERATORS)
def test_hidden_states_as_large_as_logits(body: list[int], operators: list[tuple[int, bool]]) -> None:
    """Of the model nothing but what the head read can be counted with them."""
    found, true = found_and_true([*body, OTHER], operators[0][0], operators, (OTHER,))
    assert found - true <= {len(body) + 1}


@settings(max_examples=1000)
@given(BODIES, st.lists(SIZES, min_size=1, max_size=8), st.integers(0, 7))
def test_no_logits_are_missed_for_one_operator_in_place(
    body: list[int], sizes: list[int], in_place: int
) -> None:
    operators = [(size, number == in_place) for number, size in enumerate(sizes)]
    found, true = found_and_true([*body, OTHER], sizes[0], operators, (OTHER,))
    assert true <= found
