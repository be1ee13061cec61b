"""A cold compile waits less, and nothing else changes: not a byte, not the script's own collector."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch._inductor.config
from observing import observe
from torch._functorch._aot_autograd import graph_compile

from nanocheck.core.result import ProcessMemory
from nanocheck.observe import waits

SCRIPT = """
    import gc
    import torch
    from torch import nn
    from torch._dynamo.utils import counters

    state = []
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64)).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    def loss(x, goal):
        # The peak: the backward writes the gradient where the saved logits are, if it knows that it may.
        logits = head(model(x)).float()
        return nn.functional.cross_entropy(15 * torch.tanh(logits / 15), goal)
    head = nn.Linear(64, 8192, bias=False).cuda()
    goal = torch.ones(4096, device="cuda", dtype=torch.long)
    compiled = torch.compile(loss)
    for _ in range(3):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found = compiled(torch.ones(4096, 64, device="cuda"), goal)
        found.backward()
        optimizer.step()
        optimizer.zero_grad()
    print("hits", counters["inductor"]["fxgraph_cache_hit"])
    print("misses", counters["inductor"]["fxgraph_cache_miss"])
    def backend(graph, inputs):
        state.append(gc.isenabled())
        return graph
    torch.compile(lambda x: x + 1, backend=backend)(torch.ones(1))
    print("inside", state[-1])
    print("outside", gc.isenabled())
    gc.disable()
    torch.compile(lambda x: x + 2, backend=lambda graph, _: graph)(torch.ones(1))
    print("disabled", gc.isenabled())
    print("peak", torch.cuda.max_memory_allocated())
"""


def test_the_backward_is_found_in_the_cache_and_no_byte_moves(tmp_path: Path) -> None:
    def run(name: str, *launcher: str) -> tuple[dict[str, str], ProcessMemory]:
        (tmp_path / name).mkdir()
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / name / "cache")}
        seen = observe(SCRIPT, tmp_path / name, steps=0, environment=cache, launcher=launcher)
        assert seen.ending.exit_code == 0, seen.stderr
        process = seen.result().processes
        assert len(process) == 1  # the fork is none of the script's
        return seen.printed(), process[0]

    core = str(min(os.sched_getaffinity(0)))
    ahead, answer = run("ahead")
    alone, expected = run("alone", "taskset", "-c", core, sys.executable)
    assert (alone["hits"], alone["misses"]) == ("0", "2")
    if len(os.sched_getaffinity(0)) > 1 and hasattr(graph_compile, "_aot_stage2b_bw_compile"):
        assert (ahead["hits"], ahead["misses"]) == ("1", "1")
    assert ahead["peak"] == alone["peak"]
    assert (ahead["inside"], ahead["outside"], ahead["disabled"]) == ("False", "True", "False")
    for key in ("allocated_bytes", "reserved_bytes", "peaks", "groups"):
        assert getattr(answer, key) == getattr(expected, key)


@pytest.fixture
def ahead() -> Iterator[Callable[..., tuple[waits._Ahead, list[str]]]]:
    """AOTAutograd's three functions, with a backward to choose; the list is what this process saw."""

    forks: list[int | None] = []

    def make(backward: Callable[[], None]) -> tuple[waits._Ahead, list[str]]:
        seen: list[str] = []

        def both() -> None:
            found.forward()
            forks.append(found._fork)
            backward_or_fail()
            seen.append("script")

        def backward_or_fail() -> None:
            if found._fork == 0:
                backward()

        found = waits._Ahead(both, lambda: seen.append("forward"), lambda: None)
        return found, seen

    yield make
    # Other tests of this process have children of their own.
    assert not [pid for pid in forks if Path(f"/proc/{pid}").exists()]


def fail() -> None:
    raise RuntimeError("in the fork")


def test_an_error_in_the_fork_stays_there(ahead: Callable[..., tuple[waits._Ahead, list[str]]]) -> None:
    found, seen = ahead(fail)
    me = os.getpid()
    found.both()
    assert os.getpid() == me
    found.wait()
    assert seen == ["forward", "script"]


def test_a_fork_that_hangs_has_its_time(
    ahead: Callable[..., tuple[waits._Ahead, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "_IDLE_S", 0.2)
    found, seen = ahead(lambda: time.sleep(600))
    found.both()
    fork = found._fork
    found.wait()
    assert seen == ["forward", "script"]
    assert not Path(f"/proc/{fork}").exists()


def test_a_script_may_wait_for_any_child(ahead: Callable[..., tuple[waits._Ahead, list[str]]]) -> None:
    found, _ = ahead(fail)
    found.both()
    os.waitpid(found._fork or 0, 0)  # as os.wait() might
    found.wait()


def test_what_is_tried_on_the_card_is_tried_here() -> None:
    assert not waits._decides_while_compiling()
    with torch._inductor.config.patch(max_autotune=True):
        assert waits._decides_while_compiling()


def test_the_collector_looks_at_everything_once() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            collected.append(self)

    collected: list[Cycle] = []
    with waits.collector_at_rest():
        assert not gc.isenabled()
        Cycle()
        rest: list[list[int]] = [[] for _ in range(2 * waits._MANY)]
        assert not collected
    assert gc.isenabled()
    assert collected
    del rest
