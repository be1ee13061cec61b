"""What the tests of known values and unknown sizes run on the virtual GPU."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from nanocheck.observe import introspect, placeholder_values
from nanocheck.observe.values import policies

Emit = Callable[[str, Any], None]
Tensors = list[torch.Tensor]

#: Steps of a program over integers of one shape: the pool of tensors so far, and a number.
STEPS: dict[str, Callable[[Tensors, int], torch.Tensor]] = {
    "compare": lambda pool, n: (pool[-1] != n).long(),
    "greater": lambda pool, n: (pool[-1] > pool[n % len(pool)]).to(torch.int32).to(torch.int64),
    "logic": lambda pool, n: (((pool[-1] > 0) & ~(pool[n % len(pool)] == n)) | (pool[0] < n)).long(),
    "add": lambda pool, n: pool[-1] + pool[n % len(pool)] - n,
    "divide": lambda pool, n: pool[-1] // (abs(n) + 1) + pool[-1] % (abs(n) + 2),
    "clamp": lambda pool, n: pool[-1].clamp(-abs(n), 5).abs(),
    "cumsum": lambda pool, n: pool[-1].cumsum(n % 2),
    "cummax": lambda pool, n: pool[-1].cummax(-1).values,
    "flip": lambda pool, n: pool[-1].flip(n % 2).roll(n, 0),
    "sort": lambda pool, n: pool[-1].sort(dim=-1, descending=bool(n % 2), stable=True).values,
    "argsort": lambda pool, n: pool[-1].argsort(dim=-1, stable=True),
    "where": lambda pool, n: torch.where(pool[-1] > n, pool[0], n),
    "fill": lambda pool, n: pool[-1].masked_fill(pool[-1] == n, -100),
    "gather": lambda pool, n: pool[-1].gather(1, pool[n % len(pool)] % pool[-1].shape[1]),
    "rows": lambda pool, n: pool[-1][pool[-1][:, 0].argsort(stable=True)],
    "strided": lambda pool, n: pool[-1].t().contiguous().t() + pool[-1].t().reshape(-1)[: 1 + n % 2].sum(),
    "cat": lambda pool, n: torch.cat([pool[-1][:, 1:], pool[n % len(pool)][:, :1]], dim=1),
    "shift": lambda pool, n: functional.pad(pool[-1][:, 1:], (0, 1), value=n),
    "diff": lambda pool, n: torch.diff(pool[-1], prepend=pool[-1][:, :1] - 1, dim=-1),
    "tril": lambda pool, n: pool[-1].tril(n) + pool[n % len(pool)].triu(n),
    "reduce": lambda pool, n: pool[-1] + pool[-1].amax(1, keepdim=True) - pool[-1].min(),
    "positions": lambda pool, n: pool[-1] * torch.arange(pool[-1].shape[1], device=pool[-1].device) + n,
    "slices": lambda pool, n: _assigned(pool[-1].clone(), n),
    "in place": lambda pool, n: pool[-1].clone().add_(n).masked_fill_(pool[0] > n, n).mul_(2),
    "scatter": lambda pool, n: pool[-1].scatter(1, pool[n % len(pool)] % pool[-1].shape[1], 7),
    "masked write": lambda pool, n: _masked(pool[-1].clone(), pool[n % len(pool)] > n, n),
}
#: What a script asks of the last tensor: values, and sizes that hang on them.
QUESTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sum": lambda t: t.sum(),
    "any": lambda t: (t > 3).any(),
    "all": lambda t: (t == t).all(),
    "maximum": lambda t: t.max(),
    "argmax": lambda t: t.argmax(),
    "count": lambda t: t.count_nonzero(),
    "nonzero": lambda t: t.nonzero(),
    "selected": lambda t: t[t > 0],
    "masked select": lambda t: torch.masked_select(t, t < 2),
    "unique": lambda t: torch.cat([each.reshape(-1) for each in torch.unique(t, return_counts=True)]),
    "runs": lambda t: torch.unique_consecutive(t.reshape(-1), return_inverse=True)[1],
    "unique rows": lambda t: torch.unique(t, dim=0),
    "bool values": lambda t: torch.unique(t > 1),
    "bins": lambda t: torch.bincount((t % 7).reshape(-1)),
    "repeated": lambda t: torch.repeat_interleave(t[0] % 3),
    "one hot": lambda t: functional.one_hot(t % 5),
    "is in": lambda t: torch.isin(t, t[:, 0]),
}


def _assigned(tensor: torch.Tensor, n: int) -> torch.Tensor:
    tensor[:, ::2] = n
    tensor[0] += 1
    return tensor


def _masked(tensor: torch.Tensor, mask: torch.Tensor, n: int) -> torch.Tensor:
    tensor[mask] = n
    return tensor


def _answers(start: torch.Tensor, steps: Sequence[Sequence[Any]]) -> dict[str, Any]:
    pool = [start]
    for name, number in steps:
        pool.append(STEPS[name](pool, number))
    found = {f"{name} {index}": pool[index + 1].tolist() for index, (name, _) in enumerate(steps)}
    return found | {name: ask(pool[-1]).tolist() for name, ask in QUESTIONS.items()}


def programs(payload: Sequence[dict[str, Any]], emit: Emit) -> dict[str, Any]:
    """The first program whose answers on the card are not the CPU's, and how many reads were made up."""
    placeholder_values.install()
    wrong: dict[str, Any] = {}
    for each in payload:
        rows = torch.tensor(each["rows"])
        right = _answers(rows, each["steps"])
        _leave_values()
        found = _answers(rows.cuda(), each["steps"])
        different = {name: [found[name], value] for name, value in right.items() if found[name] != value}
        if different:
            wrong = {"program": each, "different": different}
            break
    sizes = placeholder_values.unknown_sizes()
    assert sizes is not None
    return {
        "wrong": wrong,
        "made up": placeholder_values.placeholders(),
        "unknown sizes": sizes.decided + sizes.unbounded + placeholder_values.placeholder_sizes(),
    }


def _leave_values() -> None:
    """What a long run leaves in the allocator: blocks with values that somebody once wrote or computed."""
    for size in (1, 7, 64, 1000, 100_000):
        kept = [torch.full((size,), 41, device="cuda") + 1 for _ in range(8)]
        del kept


def selection(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Peaks of a loss on the labelled tokens.

    ``by``: "mask" and "lengths" as scripts write it; "hand": the sizes are put in by hand, no mask is used.
    ``known``: whether the labels' values are; ``sizes``: the policy.
    """
    os.environ[policies.VARIABLE] = payload.get("sizes", "worst")
    placeholder_values.install()
    labels = torch.tensor(payload["labels"])
    count = int((labels != -100).sum())
    labels = labels.cuda()
    if not payload.get("known", True):
        introspect.wrote(labels.data_ptr())
    hidden = torch.zeros(*labels.shape, 64, device="cuda")
    head = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 4096)).cuda()
    optimizer = torch.optim.AdamW(head.parameters(), fused=True)
    for _ in range(3):
        if payload["by"] == "hand":
            chosen = hidden.flatten(0, 1)[:count].clone()
            targets = labels.flatten()[:count].clone()
        else:
            mask = labels != -100
            if (
                payload["by"] == "lengths"
            ):  # all sequences stand at the front, as they do before they are packed
                mask = torch.arange(labels.shape[1], device="cuda") < mask.sum(1)[:, None]
            chosen, targets = hidden[mask], labels[mask]
            del mask
        loss = functional.cross_entropy(head(chosen), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        del loss, chosen, targets
    sizes = placeholder_values.unknown_sizes()
    assert sizes is not None
    return {
        "peak": torch.cuda.max_memory_allocated(),
        "decided": sizes.decided,
        "unbounded": sizes.unbounded,
        "place": sizes.first_place,
    }


def sizes(payload: str, emit: Emit) -> dict[str, Any]:
    """Shapes of what hangs on values nobody computes, under a policy."""
    os.environ[policies.VARIABLE] = payload
    placeholder_values.install()
    _leave_values()
    x = torch.randn(1000, device="cuda")
    picked = torch.topk(torch.randn(640, 8, device="cuda"), 2).indices
    flags = x > 0
    shapes = {
        "nonzero": (x > 0).nonzero(),
        "mask": x[flags],
        "select": torch.masked_select(x, flags),
        "unique": torch.unique(x),
        "counted": torch.unique(x, return_counts=True)[1],
        "inverse": torch.unique(x, return_inverse=True)[0],
        "runs": torch.unique_consecutive(x),
        "rows": torch.unique(torch.randn(30, 4, device="cuda"), dim=0),
        "flags": torch.unique(flags),
        "expert": torch.where(picked == 3)[0],
        "slice of expert": (picked[:320] == 3).nonzero()[:, 0],
        "hot": torch.where(functional.one_hot(picked, 8).permute(2, 1, 0)[5])[0],
    }
    found = {name: list(tensor.shape) for name, tensor in shapes.items()}
    sizes = placeholder_values.unknown_sizes()
    assert sizes is not None
    decided = sizes.decided
    torch.repeat_interleave(picked[:, 0])
    return {
        "shapes": found,
        "decided": decided,
        "made up": placeholder_values.placeholder_sizes(),
        "unbounded": sizes.unbounded,
        "policy": sizes.policy,
    }


def spoiled(payload: Any, emit: Emit) -> dict[str, Any]:
    """Integers that somebody wrote into after they were known."""
    placeholder_values.install()
    found: dict[str, Any] = {}
    flags = torch.zeros(64, dtype=torch.bool, device="cuda")
    found["before"] = flags.nonzero().shape[0]
    found["bernoulli"] = flags.bernoulli_(0.5).nonzero().shape[0]
    _leave_values()
    found["random"] = torch.randint(50, (1000,), device="cuda").nonzero().shape[0]
    zeros = [torch.zeros(1000, dtype=torch.int64, device="cuda") for _ in range(8)]
    del zeros
    picked = torch.randint(50, (1000,), device="cuda").gather(0, torch.arange(1000, device="cuda"))
    found["in place of what was known"] = picked.nonzero().shape[0]
    part = torch.full((256,), 0, device="cuda")
    introspect.wrote(part.data_ptr())  # by a kernel of which nobody knows more
    part[:64] = 0  # anew, and only this: what lies behind is still nobody's
    found["part"] = part.nonzero().shape[0]
    known = torch.tensor([3, 0, 4], device="cuda")
    for _ in range(50):
        torch.arange(9, device="cuda")
        torch.randn(9, device="cuda").sum()
    found["kept"] = known.nonzero().shape[0]
    large = torch.ones(3 << 20, dtype=torch.int64)  # 24 MiB
    found["large"] = [(large.cuda() > 5).nonzero().shape[0], large.numel()]
    half = torch.ones(1 << 20, dtype=torch.int64)  # 8 MiB: more than a float's copy may be
    half[::4] = 0
    found["half"] = half.cuda().nonzero().shape[0]
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        captured = known + 1
    found["captured"] = captured.sum().item()
    return found


def modes(payload: Any, emit: Emit) -> dict[str, Any]:
    """Whether each step says what the CPU says, in any mode and thread; and what Dynamo compiled."""
    each = [{"rows": [[3, -100, 0, 7], [1, 1, -2, 5]], "steps": [(name, 1)]} for name in STEPS]
    found: dict[str, Any] = {}
    with torch.inference_mode():
        found["inference"] = programs(each, emit)
    with torch.autocast("cuda", torch.bfloat16):
        found["autocast"] = programs(each, emit)
    with _Mode():
        found["mode"] = programs(each, emit)
    thread = threading.Thread(target=lambda: found.update(thread=programs(each, emit)))
    thread.start()
    thread.join()
    devices: set[str] = set()

    def backend(graph: Any, inputs: Sequence[Any]) -> Any:
        devices.update(each.device.type for each in inputs if isinstance(each, torch.Tensor))
        return graph.forward

    labels = torch.tensor([1, -100, 3], device="cuda")
    x = torch.randn(3, 8, device="cuda", requires_grad=True)
    compiled: Any = torch.compile(lambda x, labels: (x[labels != -100] * 2).relu(), backend=backend)
    made = compiled(x, labels)
    made.sum().backward()
    assert x.grad is not None
    found["compiled"] = [list(made.shape), list(x.grad.shape), sorted(devices)]
    return found


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


def numbers(payload: Any, emit: Emit) -> dict[str, Any]:
    """Numbers beside tensors, in every place that takes one."""
    placeholder_values.install()
    t, x = torch.tensor([1, 2, 3]).cuda(), torch.tensor([1.0, 2.0, 3.0]).cuda().requires_grad_()
    found: dict[str, Any] = {
        "searchsorted": [torch.searchsorted(t, 2).item(), list(torch.searchsorted(x.detach(), 3).shape)],
        "bucketize": [torch.bucketize(2, t).item(), list(torch.bucketize(2.5, t).shape)],
        "isin": [torch.isin(3, t).item(), torch.isin(t, 3).tolist()],
        "dtypes": [str((t.int() * 2).dtype), str((t[0].int() + 2).dtype), str((x * 2.5).dtype)],
    }
    y = (2**x * 3 + x**2 / 2 - 1).clamp(0, 5).where(x > 0, 0).sum() + 2.0 ** torch.arange(3.0).cuda().sum()
    y.backward()
    found["gradient"] = x.grad is not None and list(x.grad.shape)
    for name in (
        "add",
        "sub",
        "mul",
        "div",
        "pow",
        "remainder",
        "eq",
        "lt",
        "bitwise_and",
        "maximum",
        "isin",
    ):
        operation = getattr(torch, name)
        for pair in ((t, 2), (2, t), (x.detach(), 2.5), (2.5, x.detach()), (t[0], 2), (2, t[0])):
            with contextlib.suppress(TypeError, NotImplementedError):
                operation(*pair)
    return found
