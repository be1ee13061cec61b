"""Which processes an out-of-memory ended, and which caught it."""

from __future__ import annotations

from pathlib import Path

from observing import observe

from nanocheck.core.result import ObservationEnd, Outcome

#: What a process does about its out-of-memory, and whether that one ended it.
WAYS = {
    "nothing": ("too_much()", True),
    "exits": ("try: too_much()\nexcept torch.OutOfMemoryError: sys.exit(3)", True),
    "exits_later": ("caught()\nsys.exit('no room')", True),
    "leaves": ("try: too_much()\nexcept torch.OutOfMemoryError: os._exit(3)", True),
    "passes_on": (
        "try: too_much()\nexcept torch.OutOfMemoryError as error: raise RuntimeError('no room') from error",
        True,
    ),
    "is_killed_in_finally": ("try: too_much()\nfinally: os.kill(os.getpid(), signal.SIGKILL)", True),
    "ends_well": ("caught()", False),
    "exits_well": ("try: too_much()\nexcept torch.OutOfMemoryError: sys.exit(0)", False),
    "loses_a_thread": (
        "thread = threading.Thread(target=too_much)\nthread.start()\nthread.join()\nstep()",
        False,
    ),
    "goes_on_and_fails": ("caught()\nstep()\nraise ValueError('another reason')", False),
    "goes_on_and_is_killed": ("caught()\nstep()\nos.kill(os.getpid(), signal.SIGKILL)", False),
}
SCRIPT = """
import multiprocessing, os, signal, sys, threading
import torch

def too_much():
    torch.empty(20 << 30, dtype=torch.uint8, device="cuda")

def caught():
    try:
        too_much()
    except torch.OutOfMemoryError:
        pass

def step():
    torch.ones(8, device="cuda", requires_grad=True).square().sum().backward()

ways = {}
for name, (text, _) in WAYS.items():
    child = multiprocessing.get_context("fork").Process(target=exec, args=(text, globals()))
    child.start()
    child.join()
    print(name, child.pid)
"""


def test_caught_is_said_only_of_a_process_that_went_on_or_ended_well(tmp_path: Path) -> None:
    seen = observe(f"WAYS = {WAYS!r}\n{SCRIPT}", tmp_path)
    assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    pids = {name: int(pid) for name, pid in seen.printed().items()}
    result = seen.result()
    found = {each.pid: each for each in result.processes}
    ran_out = {name: not found[pid].oom.caught for name, pid in pids.items()}  # type: ignore[union-attr]
    assert ran_out == {name: ended for name, (_, ended) in WAYS.items()}
    assert (result.outcome, found[pids["goes_on_and_fails"]].error) == (
        Outcome.OOM,
        "ValueError: another reason",
    )
    assert found[pids["goes_on_and_is_killed"]].ended is ObservationEnd.LOST
