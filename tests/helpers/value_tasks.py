"""What test_placeholder_values.py runs on the virtual GPU: scripts that read what no kernel computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nanocheck.observe import introspect, placeholder_values, uncompiled_kernels

Emit = Callable[[str, Any], None]


def _leave_zeros(like: torch.Tensor) -> None:
    """What a long run leaves in the allocator: small blocks with zeros the program once wrote."""
    kept = [torch.zeros_like(like) for _ in range(30)]
    kept += [torch.zeros((), device="cuda", dtype=like.dtype) for _ in range(30)]
    del kept


def written(payload: Any, emit: Emit) -> Any:
    placeholder_values.install()
    tokens = torch.tensor([3, 1, 4, 1, 5], device="cuda")
    tokens * 2
    tokens.sum()
    tokens.float().softmax(0)
    counter = torch.zeros((), dtype=torch.int64, device="cuda")
    found = {
        "zero": counter.item(),
        "tokens": tokens.tolist(),
        "one": tokens[2].item(),
        "host": tokens.cpu().tolist(),
    }
    found["copied"] = tokens.clone().tolist()
    found["step"] = [int(each) for each in torch.arange(3).cuda()]
    found["compared"] = [bool(counter == 0), bool(counter > 0), bool(tokens[0] == 3), bool(tokens[0] > 3)]
    large = torch.tensor([2**64 - 1], dtype=torch.uint64, device="cuda")
    found["large"] = [large.item(), *large.tolist()]
    found["made up"] = placeholder_values.placeholders()
    return found


def computed(dtype: str, emit: Emit) -> Any:
    """Each operation writes into a block where an earlier tensor left zeros."""
    placeholder_values.install()
    a = torch.ones(4, 4, device="cuda", dtype=getattr(torch, dtype))
    b = torch.ones_like(a)
    labels = torch.tensor([0, 1, 2, 3], device="cuda")
    functional = torch.nn.functional
    operations: dict[str, Callable[[], torch.Tensor]] = {
        "multiply": lambda: a * b,
        "strided": lambda: a.t() + b[:1],
        "slice": lambda: a[:, 1:3] * 2,
        "cast": lambda: a.to(torch.float64),
        "transpose": lambda: a.t().contiguous(),
        "sum": lambda: a.sum(),
        "mean": lambda: a.mean(dim=1),
        "variance": lambda: a.var(),
        "norm": lambda: torch.linalg.vector_norm(a),
        "max": lambda: a.max(0).values,
        "argmax": lambda: a.argmax(),
        "matmul": lambda: a @ b,
        "dot": lambda: torch.dot(a[0], b[0]),
        "linear": lambda: functional.linear(a, b, b[0]),
        "bmm": lambda: torch.bmm(a[None], b[None]),
        "softmax": lambda: functional.softmax(a, -1),
        "loss": lambda: functional.cross_entropy(a, labels),
        "layer norm": lambda: functional.layer_norm(a, (4,)),
        "norms": lambda: torch._foreach_norm([a, b])[1],
        "cumsum": lambda: a.cumsum(0),
        "sort": lambda: a.sort().values,
        "topk": lambda: a.topk(2).values,
        "cat": lambda: torch.cat([a.sum(0), b.sum(0)]),
        "embedding": lambda: functional.embedding(labels, a),
        "gather": lambda: torch.gather(a, 0, labels[None] * 0),
        "where": lambda: torch.where(a > 0, a, b),
        "random": lambda: torch.randn(4, 4, device="cuda"),
        "integers": lambda: torch.randint(0, 5, (4,), device="cuda"),
        "in place": lambda: torch.zeros(4, device="cuda").add_(a[0]),
    }
    wrong = {}
    for name, operation in operations.items():
        _leave_zeros(a)
        result = operation()
        if (
            set(result.flatten().tolist()) != {1}
            or result.flatten()[0].item() != 1
            or a.tolist() != [[1.0] * 4] * 4
        ):
            wrong[name] = [result.tolist(), a.tolist()]
    return {"wrong": wrong, "made up": placeholder_values.placeholders() > 0}


def health(dtype: str, emit: Emit) -> Any:
    placeholder_values.install()
    x = torch.randn(1000, device="cuda", dtype=getattr(torch, dtype))
    norm = x.norm()
    parameter = torch.nn.Parameter(x.clone())
    parameter.grad = x.clone()
    rounds = 0
    while norm > 1 and rounds < 5:
        norm, rounds = norm * 0.5, rounds + 1
    return {
        "nan": [bool(x.isnan().any()), bool(norm.isnan())],
        "inf": [bool(x.isinf().any()), bool(norm.isinf())],
        "finite": [bool(x.isfinite().all()), bool(torch.isfinite(norm))],
        "broken": bool(torch.logical_or(norm.isnan(), norm.isinf())),
        "equal": [torch.equal(x, x.clone()), torch.allclose(x, x.clone())],
        "compare": [bool(norm > 10), bool(norm < 1e-6), bool(norm == 0), bool(norm != 0)],
        "not": bool(~(norm > 1)),
        "rounds": rounds,
        "clipped": torch.nn.utils.clip_grad_norm_([parameter], 1.0, error_if_nonfinite=True).item(),
    }


def text(payload: Any, emit: Emit) -> Any:
    placeholder_values.install()
    x = torch.randn(1000, device="cuda")
    _leave_zeros(x)
    return [repr(x[:2]), placeholder_values.placeholder_sizes()]


def place(payload: Any, emit: Emit) -> Any:
    placeholder_values.install()
    before = placeholder_values.first_place()
    x = torch.randn(8, device="cuda")
    exec(compile("x.mean().item()", "/somewhere/train.py", "exec"), {"x": x})
    return [before, placeholder_values.first_place(), placeholder_values.placeholders()]


def ratio(payload: Any, emit: Emit) -> Any:
    """nanochat's bits per byte: sums of counts on the GPU, one divided by the other."""
    placeholder_values.install()
    nats = torch.tensor(0.0, dtype=torch.float32, device="cuda")
    count = torch.tensor(0, dtype=torch.int64, device="cuda")
    lengths = torch.ones(50, dtype=torch.int64, device="cuda")
    for _ in range(2):
        losses, targets = torch.rand(16, device="cuda"), torch.randint(0, 50, (16,), device="cuda")
        used = lengths[targets]
        nats += (losses * (used > 0)).sum()
        count += used.sum()
    return nats.item() / (0.693 * count.item())


def elsewhere(payload: Any, emit: Emit) -> Any:
    """Everything that is not a plain tensor of the card behaves as before."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

    placeholder_values.install()
    found: dict[str, Any] = {"cpu": [torch.tensor([0.0, 2.0]).tolist(), torch.zeros(()).item()]}
    with FakeTensorMode():
        fake = torch.empty(3, device="cuda")
        found["fake"] = [type(fake.cpu()).__name__, str(fake.to("cpu").device)]
        try:
            fake.sum().item()
        except DataDependentOutputException as error:
            found["fake item"] = type(error).__name__
    found["meta"] = str(torch.empty(3, device="meta").to(torch.float16).dtype)
    found["vmap"] = torch.func.vmap(lambda t: t.to(torch.float64) * 2)(torch.ones(3)).tolist()
    found["same"] = (lambda t: t.to("cuda") is t and t.to(torch.float32) is t)(torch.ones(3, device="cuda"))
    grown = torch.nn.Linear(2, 2).cuda()
    grown(torch.ones(1, 2, device="cuda")).cpu().sum().backward()
    found["gradient"] = grown.weight.grad is not None and grown.weight.grad.is_cuda
    compiled = torch.compile(lambda t: t.to("cpu") + t.cpu(), backend="eager", fullgraph=True)
    found["compiled"] = list(compiled(torch.ones(3, device="cuda")).shape)
    return found


def training(payload: dict[str, Any], emit: Emit) -> Any:
    """A short fp16 training; what the allocator did, with and without the policy."""
    if payload["policy"]:
        placeholder_values.install()
    torch.manual_seed(0)
    uncompiled_kernels.install()
    model: Any = torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 64)
    ).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), fused=payload["fused"])
    scaler = torch.amp.GradScaler("cuda")
    run = torch.compile(model) if payload["compiled"] else model
    reserved = []
    for _ in range(4):
        with torch.autocast("cuda", dtype=torch.float16):
            loss = run(torch.randn(32, 64, device="cuda")).float().pow(2).mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=False)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        read = [loss.item(), loss.cpu().item(), *loss.detach().to("cpu")[None].tolist()]
        assert not payload["policy"] or read == [1.0] * 3
        reserved.append(torch.cuda.memory_reserved())
    stats = {key: int(value) for key, value in torch.cuda.memory_stats().items()}
    return {"stats": stats, "reserved": reserved, "states": len(optimizer.state), "scale": scaler.get_scale()}


def captured(payload: Any, emit: Emit) -> Any:
    """A read inside a captured region is an error on a real card."""
    placeholder_values.install()
    weight = torch.ones(4, 4, device="cuda")
    weight.sum().item()
    try:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            (weight * 2).sum().item()
    except RuntimeError as error:
        return str(error)
    return None


def compiled_kernels(payload: Any, emit: Emit) -> Any:
    """Kernels that Inductor never compiles overwrite, too."""
    uncompiled_kernels.install()
    placeholder_values.install()

    def step(x: torch.Tensor, total: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = (x * 2).relu()
        return y.mean(), total + y.sum()

    run = torch.compile(step)
    rows = []
    for _ in range(3):
        _leave_zeros(torch.empty(3, device="cuda"))
        x, total = torch.tensor([1.0, 2.0, 3.0], device="cuda"), torch.zeros((), device="cuda")
        mean, total_after = run(x, total)
        rows.append([mean.item(), total_after.item(), x.tolist(), total.item()])
    return rows


def peak(payload: Any, emit: Emit) -> Any:
    torch.cuda.init()
    at_start = introspect.peak_used_bytes()
    big = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    del big
    torch.cuda.empty_cache()
    return [at_start, introspect.peak_used_bytes(), torch.cuda.mem_get_info()]


def drawn_again(payload: dict[str, float], emit: Emit) -> Any:
    """How often ``trunc_normal_`` asks whether anything fell outside, on the host and on the card."""
    placeholder_values.install()
    plain, asked = torch.Tensor.any, [0]

    def any_(self: torch.Tensor, *args: Any) -> torch.Tensor:
        asked[0] += 1
        assert asked[0] < 1000, "it draws for ever"
        return plain(self, *args)

    torch.Tensor.any = any_  # type: ignore[assignment, method-assign]
    found = {}
    for where in ("cpu", "cuda", "mode"):
        asked[0] = 0
        with torch.device("cuda" if where == "mode" else where):
            torch.nn.init.trunc_normal_(torch.empty(1024, 1024), **payload)
        found[where] = asked[0]
    return found
