"""A project's own test that starts ranks, on a machine of several cards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from made_up import DEVICE, oom_result, peaks, result
from paths import QUICK, ROOT
from plugin_project import Project

from nanocheck.core.baselines import load as load_baseline
from nanocheck.core.device import CardsAlike
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.pytest_plugin.gpu_test_child import Said
from nanocheck.pytest_plugin.gpu_test_report import problem_of, properties_of
from nanocheck.report.run_file import load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual GPU needs Linux")

#: The process that collects is spared torch, which takes seconds.
TWO = """
import socket, pytest

def work(rank, port):
    import torch, torch.distributed as dist
    dist.init_process_group("nccl", rank=rank, world_size=2, init_method=f"tcp://127.0.0.1:{port}")
    torch.cuda.set_device(rank)
    torch.nn.Linear(1024, 1024, device="cuda")(torch.empty(8, 1024, device="cuda")).sum().backward()
    dist.all_reduce(torch.ones(1024, device="cuda"))
    more = torch.empty(64 * rank + 1, 1 << 20, dtype=torch.uint8, device="cuda")  # the second's
    dist.destroy_process_group()

@pytest.mark.fits("2xrtx4070")
def test_two(gpu_memory):
    import torch.multiprocessing
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (port,), nprocs=2)
    gpu_memory.assert_unchanged()
"""


def test_each_rank_has_a_verdict_a_result_and_a_baseline(tmp_path: Path) -> None:
    (tmp_path / "test_small.py").write_text(TWO)
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB", "PYTEST"))
    }
    options = ("--nanocheck-results=results", "--update-baselines", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_small.py", *options],
        cwd=tmp_path,
        env={**ours, "PYTHONPATH": f"{QUICK}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (kept,) = (load(each) for each in (tmp_path / "results").iterdir())
    assert kept.result.device_name == f"2 x {DEVICE.name}"
    assert [(each.rank, each.card, each.kind) for each in kept.verdict.ranks] == [
        (0, 0, "safe"),
        (1, 1, "safe"),
    ]
    by_rank = {each.rank: each for each in kept.result.processes}
    grown = by_rank[1].allocated_bytes - by_rank[0].allocated_bytes
    (stored,) = (tmp_path / "baselines" / "tests" / "rtx4070").glob("*.json")
    expected = load_baseline(stored).configurations
    name = "test_small.py::test_two, rank {} of 2 on 2xrtx4070"
    assert set(expected) == {name.format(rank) for rank in (0, 1)}
    for rank, process in by_rank.items():
        assert expected[name.format(rank or 0)].allocated_bytes == process.allocated_bytes
    assert grown >= 32 * MIB


def two(more: int, *, oom: bool = False) -> JudgedRun:
    """Two ranks, a card each; rank 1 has so many bytes more, or ran out of memory."""
    first = result(peaks=peaks()).main
    second = result(peaks=peaks(reserved=9000 * MIB + more)).main
    if oom:
        second = msgspec.structs.replace(second, oom=oom_result().main.oom)
    made = [
        msgspec.structs.replace(each, pid=rank, rank=rank, card=rank, process_bytes=each.reserved_bytes)
        for rank, each in enumerate((first, second))
    ]
    whole: RunResult = result(
        machine=(CardsAlike(cards=2, device=DEVICE),),
        processes=tuple(made),
        world=2,
        outcome=Outcome.CRASHED if oom else Outcome.COMPLETED,
    )
    return JudgedRun.of(whole)


def test_a_failure_names_every_rank_and_who_holds_the_memory_of_the_one_that_ran_out() -> None:
    passed = Said(outcome="passed")
    assert problem_of(two(0), passed, must_fit=True) is None
    tight = problem_of(two(2500 * MIB), passed, must_fit=True)
    assert tight is not None
    assert f"to fit 2 x {DEVICE.name} safely, found tight" in tight
    assert "9,000.00  rank 0 on card 0: safe" in tight
    assert "11,500.00  rank 1 on card 1: tight" in tight
    ran_out = problem_of(two(-MIB, oom=True), Said(outcome="failed", text="spawn failed"), must_fit=True)
    assert ran_out is not None
    assert "found oom: backward of step 0" in ran_out
    assert "rank 1 on card 1: oom" in ran_out
    assert properties_of(two(0))["gpu"] == "2xrtx4070"


def test_suites_of_configurations_refuse_a_machine_before_anything_runs(project: Project) -> None:
    done = project.run("suites/", "--gpu", "2xh100")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    said = done.stdout.str() + done.stderr.str()
    assert "--gpu 2xh100: expected one card" in said
    assert "ranks, sharding" in said
