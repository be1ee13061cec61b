"""A training whose optimizer never stepped is not plainly safe: its state is in no figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import Seen, observe

from nanocheck.core.verdict import Kind

#: ``loss()`` is what a step of training begins with.
MODEL = """
    import torch
    from torch import nn
    model = nn.Linear(256, 256).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    def loss():
        return model(torch.randn(8, 256, device="cuda")).square().mean()
    def step():
        optimizer.step()
        optimizer.zero_grad()
"""
MADE = "script.py:5"


def run(program: str, folder: Path) -> Seen:
    seen = observe(MODEL + program, folder)
    assert seen.ending.exit_code == 0, seen.stderr
    return seen


#: How a program comes to step an optimizer never.
SKIPPED = {
    "a guard before the backward": """
    for _ in range(4):
        value = loss()
        if value.item() < 2:  # nobody computes it: it reads as one
            continue
        value.backward()
        step()
""",
    "steps without a gradient": """
    for _ in range(4):
        loss().backward()
        optimizer.zero_grad()  # what a guard does with gradients that it does not like
        step()
""",
    "in a function that is over": """
    def main():
        later = torch.optim.AdamW(model.parameters())
        for _ in range(4):
            loss().backward()
    del optimizer
    main()
""",
}


@pytest.mark.parametrize("why", SKIPPED)
def test_a_step_that_never_came(why: str, tmp_path: Path) -> None:
    judged = run(SKIPPED[why], tmp_path).judged()
    (process,) = judged.result.processes
    assert process.coverage is not None
    assert process.coverage.idle_optimizers[0] == MADE
    assert judged.verdict.kind is Kind.PARTIAL
    assert MADE in judged.verdict.sentence


def test_one_of_two_that_never_stepped(tmp_path: Path) -> None:
    program = """
    other = nn.Linear(256, 256).cuda()
    second = torch.optim.AdamW(other.parameters())
    for _ in range(5):
        other(model(torch.randn(8, 256, device="cuda"))).mean().backward()
        step()
    """
    judged = run(program, tmp_path).judged()
    (process,) = judged.result.processes
    assert process.coverage is not None
    assert process.coverage.idle_optimizers == ("script.py:13",)
    assert judged.verdict.kind is Kind.PARTIAL


#: Where nothing is missing, though an optimizer never stepped by itself.
WHOLE = {
    "others have its parameters, or nobody trains them": """
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, inner):
            super().__init__([each for group in inner.param_groups for each in group["params"]], {})
            self.inner = inner
        def step(self):
            self.inner.step()
        step.hooked = True  # PyTorch calls no hooks of it
    first = optimizer
    optimizer = Wrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    other = nn.Linear(256, 256).cuda().requires_grad_(False)
    second = torch.optim.AdamW(other.parameters())
    for _ in range(5):
        other(loss().expand(1, 256)).sum().backward()
        step()
""",
    "it is compiled": """
    run = torch.compile(step, backend="eager")
    for _ in range(5):
        loss().backward()
        run()
""",
}


@pytest.mark.parametrize("what", WHOLE)
def test_nothing_is_missing(what: str, tmp_path: Path) -> None:
    judged = run(WHOLE[what], tmp_path).judged()
    (process,) = judged.result.processes
    assert process.coverage is not None
    assert process.coverage.optimizer_steps > 0
    assert process.coverage.idle_optimizers == ()
    assert judged.verdict.kind is Kind.SAFE
