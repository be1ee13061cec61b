"""How long nanocheck takes: medians of several runs, in seconds. Nothing is asserted.

CPU seconds stand beside the wall time: on a machine that others use too, they are the steadier figure.

    python benchmarks/speed.py                    # every part
    python benchmarks/speed.py eager --runs 1     # one of them

Parts:
  eager     100 eager configurations on a virtual RTX 4070, a server's start included
  compiled  one compiled GPT-2 124M, with Inductor's and Triton's caches empty (the virtual GPU compiled)
  suites    `pytest suites/`, after one run that fills the caches
  fork      from a job's submission to its result, in a fork of a server that has torch loaded
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import NanocheckError
from nanocheck.core.gpus import find_gpu
from nanocheck.measuring.configurations import measure
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Pool
from nanocheck.virtual import prepare

ROOT = Path(__file__).resolve().parent.parent
GPU = "rtx4070"
JOBS = 50
#: Of the environment that a run of its own must not be told.
FOREIGN = ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "PYTEST_ADDOPTS")

#: Seconds, and what was done in them; a part yields one after another, as many as it is asked for.
Timing = tuple[float, str]
Part = Generator[Timing, None, None]


def hundred() -> list[StepConfig]:
    """Two models, ten batches, five precisions and accumulations: 100 configurations."""
    return [
        StepConfig(n_embd=width, batch=batch, dtype=dtype, accumulation=accumulation)
        for width in (768, 576)
        for batch in range(1, 11)
        for dtype, accumulation in (("bf16", 1), ("bf16", 32), ("fp16", 1), ("fp16", 32), ("fp32", 32))
    ]


def eager(workers: int) -> Part:
    while True:
        yield measured(hundred(), workers)


def compiled(workers: int) -> Part:
    with tempfile.TemporaryDirectory(prefix="nanocheck-speed-") as cache, variable("NANOCHECK_CACHE", cache):
        prepare()  # before the clock starts: it happens once per installation
        while True:
            for name in ("inductor", "triton"):
                shutil.rmtree(Path(cache, name), ignore_errors=True)
            yield measured([StepConfig(compile="default")], workers)


def suites(workers: int) -> Part:
    with tempfile.TemporaryDirectory(prefix="nanocheck-speed-") as folder:
        command = [
            *(sys.executable, "-m", "pytest", "suites/", "-q", "--device", "virtual", "--nanocheck-fresh"),
            *("--nanocheck-workers", str(workers), "-p", "no:cacheprovider"),
            *("--nanocheck-reports", folder, "--nanocheck-journal", folder),
        ]
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        for warm in (False, *[True] * 1_000):
            started, before = time.monotonic(), children_cpu_seconds()
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            seconds, cpu = time.monotonic() - started, children_cpu_seconds() - before
            last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
            summary = f"exit {done.returncode}: {last}; {cpu:.1f} s of CPU"
            if warm:
                yield seconds, summary
            else:
                print(f"suites: first run, not counted: {seconds:.1f} s ({summary})", flush=True)


def fork(workers: int) -> Part:
    launch = {**prepare().launch_environment(), "PYTHONPATH": str(Path(__file__).parent)}
    with Pool(1, launch, ("torch", "torch._dynamo", "nanocheck.measuring.step_worker")) as pool:
        pool.submit(Job(id="first", task="speed:nothing")).result()  # the server starts
        while True:
            seconds = []
            before = len(pool.fork_seconds)
            for number in range(JOBS):
                started = time.monotonic()
                result = pool.submit(Job(id=str(number), task="speed:nothing")).result()
                seconds.append(time.monotonic() - started)
                if result.outcome != "ok":
                    raise RuntimeError(result.reason)
            system_call = statistics.median(pool.fork_seconds[before:])
            yield (
                statistics.median(seconds),
                f"median of {JOBS} jobs; fork() itself {system_call * 1000:.1f} ms; "
                f"the server imported torch in {pool.preload_seconds:.1f} s",
            )


PARTS: dict[str, Callable[[int], Part]] = {
    "eager": eager,
    "compiled": compiled,
    "suites": suites,
    "fork": fork,
}


def nothing(payload: Any, emit: Any) -> None:
    """The job of ``fork``; it runs in the child."""


def measured(configs: list[StepConfig], workers: int) -> Timing:
    """Seconds for all records, and how the configurations ended."""
    device = Target(kind="virtual", gpu=find_gpu(GPU))
    started, before = time.monotonic(), children_cpu_seconds()
    records = list(measure(configs, device, workers=workers))
    seconds, cpu = time.monotonic() - started, children_cpu_seconds() - before
    ended = Counter(record.outcome for record in records)
    for record in records:
        if record.outcome not in ("completed", "oom"):
            print(f"{record.id}: {record.outcome}: {record.detail}", file=sys.stderr)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(ended.items()))
    if len(records) == 1:
        summary += f" ({', '.join(f'{stage} {took:.1f}' for stage, took in records[0].seconds.items())})"
    return seconds, f"{summary}; {cpu:.1f} s of CPU"


def children_cpu_seconds() -> float:
    """Of all descendants that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="how often each part runs (default: 3)")
    parser.add_argument("--workers", type=int, default=2, help="configurations at once (default: 2)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown or arguments.runs < 1 or arguments.workers < 1:
        parser.error(f"unknown part {', '.join(unknown)}" if unknown else "expected at least 1")
    print(
        f"torch {prepare().torch_version}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, {arguments.workers} workers"
    )
    rows = []
    for name in arguments.parts or PARTS:
        timings = []
        with contextlib.closing(PARTS[name](arguments.workers)) as part:
            for _ in range(arguments.runs):
                timings.append(next(part))
                print(f"{name}: {timings[-1][0]:.3f} s ({timings[-1][1]})", flush=True)
        seconds = [timing for timing, _ in timings]
        rows.append([name, statistics.median(seconds), min(seconds), max(seconds), timings[-1][1]])
    headers = ["part", "median s", "least s", "most s", "what"]
    print("\n" + tabulate(rows, headers=headers, floatfmt=".3f"))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except NanocheckError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error
