"""A script that asks autograd's engine itself, as Megatron-LM's schedules do, is seen like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from observing import observe

from nanocheck.observe import direct_backward

#: The arguments are those of Megatron-LM's ``custom_backward``, all by their names.
TRAIN = """
    import sys, torch
    layers = torch.nn.Linear(512, 2048), torch.nn.GELU(), torch.nn.Linear(2048, 512)
    model = torch.nn.Sequential(*layers).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(100):
        loss = model(torch.randn(256, 512, device="cuda")).square().mean()
        torch.autograd.Variable._execution_engine.run_backward(
            tensors=(loss,), grad_tensors=(torch.ones_like(loss),), keep_graph=False, create_graph=False,
            inputs=tuple(), allow_unreachable=True, accumulate_grad=True,
        )
        optimizer.step()
        optimizer.zero_grad()
        print("peak", torch.cuda.max_memory_allocated(), flush=True)
"""


def test_its_steps_are_counted_and_its_phases_told(tmp_path: Path) -> None:
    seen = observe(TRAIN, tmp_path)
    (process,) = seen.judged().result.processes
    assert process.steps == 3
    assert list(process.phase_peaks()) == ["build", "forward", "backward", "optimizer"]
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tensors each backward began at, of those that went the common way."""
    found: list[int] = []
    variable, way = torch.autograd.Variable, torch.autograd._engine_run_backward
    monkeypatch.setattr(variable, "_execution_engine", variable._execution_engine)  # put back at the end
    direct_backward.install()

    def watched(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        found.append(len(tensors))
        return way(tensors, *args, **kwargs)

    monkeypatch.setattr(torch.autograd, "_engine_run_backward", watched)
    return found


@given(roots=st.integers(1, 4), direct=st.booleans(), named=st.booleans(), twice=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_each_backward_is_seen_once(
    seen: list[int], roots: int, direct: bool, named: bool, twice: bool
) -> None:
    seen.clear()
    weight = torch.ones(3, requires_grad=True)
    losses = tuple((weight * (n + 1)).sum() for n in range(roots))
    given_back = tuple(torch.ones(()) for _ in losses)
    run = torch.autograd.Variable._execution_engine.run_backward
    for again in range(1 + twice):
        keep = twice and not again
        if not direct:
            torch.autograd.backward(losses, given_back, retain_graph=keep)
        elif named:
            run(
                tensors=losses,
                grad_tensors=given_back,
                keep_graph=keep,
                create_graph=False,
                inputs=(),
                allow_unreachable=True,
                accumulate_grad=True,
            )
        else:
            run(losses, given_back, keep, False, (), allow_unreachable=True, accumulate_grad=True)
    assert seen == [roots] * (1 + twice)
    assert weight.grad is not None
    assert weight.grad.tolist() == [(1 + twice) * sum(range(1, roots + 1))] * 3


def test_the_engine_stays_what_compilers_look_for(seen: list[int]) -> None:
    assert isinstance(torch.autograd.Variable._execution_engine, torch._C._ImperativeEngine)
    ran = []
    weight = torch.ones(1, requires_grad=True)
    weight.register_hook(
        lambda _: torch.autograd.Variable._execution_engine.queue_callback(lambda: ran.append(1))
    )
    weight.sum().backward()
    assert ran == [1]
    assert seen == [1]
