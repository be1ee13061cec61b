"""A text that is observed in a fork is observed as in a Python of its own: ``forked_runs``."""

from __future__ import annotations

from pathlib import Path

from forked_runs import can_fork
from observing import Seen, observe

#: Trains, evaluates, prints what PyTorch says, and ends in an error.
SCRIPT = """
    import sys, torch
    from torch import nn
    model = nn.Sequential(nn.Embedding(1000, 64), nn.Linear(64, 1000)).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    def train(tokens):
        nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    for step in range(int(sys.argv[1])):
        train(torch.randint(1000, (4, 64 + step % 2)).cuda())
    print("peak", torch.cuda.max_memory_allocated())
    print("main", __name__)
    {}["missing"]
"""


def seen_in(folder: Path, *, forks: bool) -> Seen:
    folder.mkdir()
    return observe(SCRIPT, folder, "6", steps=0, forks=forks)


def test_a_fork_is_observed_as_a_python_of_its_own(tmp_path: Path) -> None:
    fork, own = seen_in(tmp_path / "fork", forks=True), seen_in(tmp_path / "own", forks=False)
    assert fork.ending == own.ending
    assert fork.stdout == own.stdout
    assert fork.stderr.replace("/fork/", "/own/") == own.stderr
    (first,), (second,) = (each.processes() for each in (fork, own))
    # All but the addresses.
    events = [[(action, size, stack) for action, _, size, stack in each.events] for each in (first, second)]
    assert events[0] == events[1]
    assert first.coverage == second.coverage
    (first,), (second,) = (each.result().processes for each in (fork, own))
    for name in ("groups", "largest", "stacks", "peaks", "reserved_bytes", "process_bytes", "steps"):
        assert getattr(first, name) == getattr(second, name), name


def test_what_a_fork_would_change_gets_a_python_of_its_own(tmp_path: Path) -> None:
    for name, text in (("plain.py", "import torch"), ("compiled.py", "torch.compile(model)")):
        (tmp_path / name).write_text(text)
    plain, compiled = tmp_path / "plain.py", tmp_path / "compiled.py"
    assert can_fork([plain, "4"], {"NANOCHECK_RUN_COVER": "eval", "PYTORCH_ALLOC_CONF": ""})
    assert not can_fork([plain, str(compiled)], {})
    assert not can_fork([compiled], {})
    assert not can_fork([plain], {"PYTHONPATH": ""})
