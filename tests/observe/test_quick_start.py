"""A Python that imports torch in half the time is observed as a user's: ``helpers/quick``."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import Seen, observe

#: Trains with what torch marks as none of the compiler's business, says what was imported, ends in an error.
SCRIPT = """
    import gc, sys, torch
    from torch import nn
    from torch.utils.checkpoint import checkpoint
    print("collects", gc.isenabled())
    embedding, head = nn.Embedding(1000, 64).cuda(), nn.Linear(64, 1000).cuda()
    optimizer = torch.optim.AdamW([*embedding.parameters(), *head.parameters()])
    def train(tokens, forward):
        logits = checkpoint(forward, embedding(tokens), use_reentrant=True)
        nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    for step in range(6):
        train(torch.randint(1000, (4, 64 + step % 2)).cuda(), head)
    compiler = "torch._dynamo.eval_frame"
    print("compiler", compiler in sys.modules, file=sys.stderr)
    if sys.argv[1] == "compiles":
        compiled = torch.compile(head, backend="eager")
        for step in range(3):
            train(torch.randint(1000, (4, 64)).cuda(), compiled)
        import torch._dynamo.utils
        print("frames", sum(torch._dynamo.utils.counters["frames"].values()) > 0)
        print("same", sys.modules["torch._dynamo"] is torch._dynamo, torch._dynamo.eval_frame.__name__)
    print("peak", torch.cuda.max_memory_allocated())
    {}["missing"]
"""


def seen_with(folder: Path, does: str, quick: str) -> Seen:
    folder.mkdir()
    return observe(SCRIPT, folder, does, steps=0, forks=False, environment={"NANOCHECK_TESTS_QUICK": quick})


@pytest.mark.parametrize("does", ["trains", "compiles"])
def test_nothing_that_is_recorded_is_different(does: str, tmp_path: Path) -> None:
    quick, whole = seen_with(tmp_path / "quick", does, "1"), seen_with(tmp_path / "whole", does, "")
    assert quick.ending == whole.ending
    assert quick.stdout == whole.stdout
    assert "collects True" in quick.stdout
    assert ("frames True" in quick.stdout) == (does == "compiles")
    # The optimizer alone has it imported in one of them.
    assert "compiler False" in quick.stderr
    assert "compiler True" in whole.stderr
    (first,), (second,) = (each.processes() for each in (quick, whole))
    sizes = [[(action, size) for action, _, size, _ in each.events] for each in (first, second)]
    assert sizes[0] == sizes[1]
    assert first.coverage == second.coverage
    (first,), (second,) = (each.result().processes for each in (quick, whole))
    for name in ("groups", "largest", "stacks", "peaks", "reserved_bytes", "process_bytes", "steps"):
        assert getattr(first, name) == getattr(second, name), name
