"""What the tests of the virtual GPU run in its children. PyTorch as any program would use it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch

from nanocheck.core.device import Device
from nanocheck.core.errors import MachineError
from nanocheck.core.units import GIB, MIB
from nanocheck.observe import introspect
from nanocheck.observe.allocator_history import memory_snapshot

Emit = Callable[[str, Any], None]


def properties(payload: Any, emit: Emit) -> Any:
    card = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    return {
        "name": card.name,
        "capability": [card.major, card.minor],
        "sms": card.multi_processor_count,
        "threads_per_sm": card.max_threads_per_multi_processor,
        "l2_bytes": card.L2_cache_size,
        "total": total,
        "free": free,
        "count": torch.cuda.device_count(),
        "version": introspect.version(),
    }


def memory_adds_up(sizes: list[int], emit: Emit) -> Any:
    """After each allocation: free memory as the driver tells it, and what PyTorch reserved."""
    torch.cuda.init()
    rows, kept = [], []
    for size in sizes:
        kept.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        rows.append([torch.cuda.mem_get_info()[0], torch.cuda.memory_reserved()])
    kept.clear()
    torch.cuda.empty_cache()
    rows.append([torch.cuda.mem_get_info()[0], torch.cuda.memory_reserved()])
    return rows


def out_of_memory(size: int, emit: Emit) -> Any:
    kept = torch.empty(GIB, dtype=torch.uint8, device="cuda")
    try:
        torch.empty(size, dtype=torch.uint8, device="cuda")
    except torch.cuda.OutOfMemoryError as error:
        return {"message": str(error), "kept": kept.numel(), "again": torch.empty(MIB, device="cuda").numel()}
    return None


def fill_the_card(payload: Any, emit: Emit) -> Any:
    """Allocate all of a large card in pieces and write a little to each."""
    pieces = []
    try:
        while True:
            piece = torch.empty(GIB, dtype=torch.uint8, device="cuda")
            piece[:1000].fill_(1)
            pieces.append(piece)
    except torch.OutOfMemoryError:
        return {"pieces": len(pieces), "resident": _resident_bytes()}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def values(payload: Any, emit: Emit) -> Any:
    """What a program wrote it must find again; what a kernel would have computed it must not."""
    numbers = torch.tensor([3, 1, 4, 1, 5], device="cuda")
    dirty = torch.full((64,), 7.0, device="cuda")
    del dirty
    return {
        "copied": numbers.tolist(),
        "sliced": numbers[2:].tolist(),
        "zeros": torch.zeros(64, device="cuda").tolist() == [0.0] * 64,
        "ones": torch.ones(5, dtype=torch.bfloat16, device="cuda").tolist(),
        "full": torch.full((3,), 65536.0, device="cuda").tolist(),
        "long": torch.full((3,), -1, dtype=torch.int64, device="cuda").tolist(),
        "bool": torch.full((3,), True, device="cuda").tolist(),
        "not filled": int(torch.zeros(3, device="cuda", dtype=torch.int32).fill_(9)[1].item()),
        "moved": torch.arange(10).cuda().cpu().tolist(),
    }


def gaps(payload: Any, emit: Emit) -> Any:
    """Fills of tensors with gaps: PyTorch launches them with other parameters than whole ones."""
    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool):
        numbers = torch.zeros(64, 64, device="cuda", dtype=dtype)
        for i in range(1, 20):
            numbers[-i:, -i:].fill_(1)
            numbers[:, ::2] = 0
    return True


def streams_and_events(payload: Any, emit: Emit) -> Any:
    side = torch.cuda.Stream()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    with torch.cuda.stream(side):
        piece = torch.empty(8 * MIB, dtype=torch.uint8, device="cuda")
        piece.record_stream(torch.cuda.current_stream())
        end.record()
    side.wait_event(start)
    torch.cuda.synchronize()
    first = torch.cuda.memory_reserved()
    del piece
    again = torch.empty(8 * MIB, dtype=torch.uint8, device="cuda")  # another stream: no reuse
    return {
        "elapsed": start.elapsed_time(end),
        "query": [start.query(), side.query()],
        "grew": torch.cuda.memory_reserved() - first,
        "again": again.numel(),
    }


def graphs(payload: Any, emit: Emit) -> Any:
    """Private pools of CUDA graphs keep their memory while the graph lives."""
    weight = torch.ones(1024, 1024, device="cuda")
    weight @ weight
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        product = (weight @ weight) + 1
    capturing = torch.cuda.is_current_stream_capturing()
    graph.replay()
    held = torch.cuda.memory_reserved() - before
    del product, graph
    torch.cuda.empty_cache()
    return {"held": held, "capturing": capturing, "released": torch.cuda.memory_reserved() - before}


def pinned(payload: Any, emit: Emit) -> Any:
    page = torch.arange(1000).pin_memory()
    moved = page.to("cuda", non_blocking=True)
    return {
        "pinned": page.is_pinned(),
        "plain": torch.arange(10).is_pinned(),
        "same": moved.tolist() == page.tolist(),
    }


def copied_out(cases: list[list[int]], emit: Emit) -> Any:
    """Large copies into page-locked memory: what arrives, and how much of the host they take.

    Each case: offsets in both, bytes, where three known bytes lie among them (-1: nowhere).
    """
    room = max(to + at + size for to, at, size, _ in cases)
    page = torch.empty(room, dtype=torch.uint8, pin_memory=True)
    rows = []
    for to, at, size, known in cases:
        card = torch.empty(room, dtype=torch.uint8, device="cuda")
        page.fill_(7)
        if known >= 0:
            card[at + known : at + known + 3] = torch.tensor([1, 2, 3], dtype=torch.uint8)
        expected = page.clone()
        expected[to : to + size] = 0
        if known >= 0:
            expected[to + known : to + known + 3] = torch.tensor([1, 2, 3], dtype=torch.uint8)
        before = _resident_bytes()
        page[to : to + size].copy_(card[at : at + size], non_blocking=True)
        rows.append({"more": _resident_bytes() - before, "same": torch.equal(page, expected)})
        del card
        torch.cuda.empty_cache()
    return rows


def snapshot(payload: Any, emit: Emit) -> Any:
    torch.cuda.memory._record_memory_history()
    kept = torch.empty(5 * MIB, dtype=torch.uint8, device="cuda")
    taken = torch.cuda.memory._snapshot()
    lines = [frame["name"] for event in taken["device_traces"][0] for frame in event.get("frames", [])]
    return {"segments": len(taken["segments"]), "lines": lines, "kept": kept.numel()}


def observers_snapshot(count: int, emit: Emit) -> Any:
    """Taken by several threads at once; each then asks for the compiler by its attribute."""
    torch.cuda.memory._record_memory_history(stacks="python")
    kept = torch.empty(5 * MIB, dtype=torch.uint8, device="cuda")
    together, found = threading.Barrier(count), []
    before = torch.__getattr__

    def take() -> None:
        together.wait()
        taken = [memory_snapshot() for _ in range(20)][-1]
        lines = {each["name"] for event in taken["device_traces"][0] for each in event.get("frames", ())}
        imported = "torch._inductor" in sys.modules
        together.wait()
        found.append(("observers_snapshot" in lines, imported, torch._inductor.__name__))

    threads = [threading.Thread(target=take) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return {"found": found, "kept": kept.numel(), "as before": torch.__getattr__ is before}


def data_loader(workers: int, emit: Emit) -> Any:
    data = torch.utils.data.TensorDataset(torch.arange(64))
    loader = torch.utils.data.DataLoader(data, batch_size=8, num_workers=workers, pin_memory=True)
    return sorted(value for (batch,) in loader for value in batch.cuda(non_blocking=True).tolist())


def threads(count: int, emit: Emit) -> Any:
    """Many threads allocate and free at once; at the end nothing is left."""
    failures: list[str] = []

    def work() -> None:
        try:
            for round_ in range(200):
                a = torch.empty(1 + round_ * 4096, dtype=torch.uint8, device="cuda")
                with torch.cuda.stream(torch.cuda.Stream()):
                    b = torch.empty(3 * MIB, dtype=torch.uint8, device="cuda")
                del a, b
        except Exception as error:
            failures.append(repr(error))

    all_ = [threading.Thread(target=work) for _ in range(count)]
    for each in all_:
        each.start()
    for each in all_:
        each.join()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return {
        "failures": failures,
        "allocated": torch.cuda.memory_allocated(),
        "reserved": torch.cuda.memory_reserved(),
    }


def attention(dtype: str, emit: Emit) -> Any:
    """Which backend runs, by the node autograd keeps and by the kernels that were launched."""
    q = torch.empty(2, 4, 256, 64, device="cuda", dtype=getattr(torch, dtype), requires_grad=True)
    out = torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    weight = torch.empty(64, 64, device="cuda")
    weight @ weight
    node = type(out.grad_fn).__name__
    out.sum().backward()
    return {"node": node, "launched": introspect.attention_backend()}


def workspaces(payload: Any, emit: Emit) -> Any:
    """cuBLAS workspaces: one for the thread of the forward, one for that of the backward."""
    layer = torch.nn.Linear(64, 64, bias=False).cuda()
    before = torch.cuda.memory_allocated()
    loss = layer(torch.empty(8, 64, device="cuda")).sum()
    forward = torch.cuda.memory_allocated()
    loss.backward()
    return {"forward": forward - before, "backward": torch.cuda.memory_allocated() - forward}


def tiny_step(payload: Any, emit: Emit) -> dict[str, Any]:
    """Two steps: products, attention, a norm, AdamW, and an embedding, whose backward is CUB's: it compares
    the kernel's architecture with those it was built for, and fails with error 98 if they disagree.
    """
    told = {"arches": torch.cuda.get_arch_list(), "cuda": torch.version.cuda, "steps": 0, "failed": ""}
    try:
        table = torch.nn.Embedding(50304, 64).cuda()
        block = torch.nn.TransformerEncoderLayer(64, 2, 128, batch_first=True).cuda()
        optimizer = torch.optim.AdamW([*table.parameters(), *block.parameters()])
        tokens = torch.zeros(8, 256, dtype=torch.int64, device="cuda")
        for _ in range(2):
            with torch.autocast("cuda", torch.float16):
                loss = block(table(tokens)).float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            told["steps"] += 1
    except RuntimeError as error:
        told["failed"] = str(error)
    return told


def unanswered(payload: Any, emit: Emit) -> Any:
    """How many values a product of two sparse matrices has, only cuSPARSE could say."""
    sparse = torch.eye(4, device="cuda").to_sparse_csr()
    sparse @ sparse


def scaler(payload: Any, emit: Emit) -> Any:
    """A GradScaler must take its step although memory holds what earlier tensors left there."""
    for value in (float("inf"), 1.0, -3.0):
        dirty = [torch.full((1,), value, device="cuda") for _ in range(64)]
        del dirty
    layer = torch.nn.Linear(8, 8).cuda()
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    scale = torch.amp.GradScaler("cuda")
    with torch.autocast("cuda", dtype=torch.float16):
        loss = layer(torch.empty(4, 8, device="cuda")).sum()
    scale.scale(loss).backward()
    scale.unscale_(optimizer)
    scale.step(optimizer)
    scale.update()
    return {"states": len(optimizer.state), "scale": scale.get_scale()}


def opens_card(payload: Any, emit: Emit) -> dict[str, Any]:
    """What the worker of a configuration says of a card that it is to run on."""
    from nanocheck.measuring import step_worker

    told = {"arches": torch.cuda.get_arch_list(), "cuda": torch.version.cuda, "refused": ""}
    try:
        step_worker._open_card(msgspec.convert(payload, Device), introspect.version())
    except MachineError as error:
        told["refused"] = error.problem
    return told


def sees_a_card(payload: Any, emit: Emit) -> Any:
    return torch.cuda.is_available()
