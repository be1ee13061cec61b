"""What ``nanocheck run`` costs: seconds to an answer, and observed against unobserved. Nothing is asserted.

    python benchmarks/observation.py            # every part, medians of 3 runs
    python benchmarks/observation.py answer --runs 1

Parts:
  answer    from the prompt to the answer: `nanocheck run -- python train_gpt2.py`, GPT-2 124M, eager
  compiled  the same with --compile, Inductor's caches empty
  overhead  40 steps on the virtual GPU with and without the observer
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.measuring.command_environment import child_environment
from nanocheck.virtual.cache import cache_folder

SCRIPT = Path(__file__).with_name("train_gpt2.py")
VERB = [sys.executable, "-m", "nanocheck", "run", "--gpu", "rtx4070"]
TRAIN = [sys.executable, str(SCRIPT), "--batch", "4"]


def seconds(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Wall time of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def answer() -> float:
    return seconds([*VERB, "--", *TRAIN])


def compiled() -> float:
    shutil.rmtree(cache_folder() / "inductor", ignore_errors=True)
    return seconds([*VERB, "--", *TRAIN, "--compile"])


def overhead() -> tuple[float, float]:
    """Seconds with and without the observer."""
    with tempfile.TemporaryDirectory() as folder:
        device = Target(kind="virtual", gpu=find_gpu("rtx4070"))
        observed = child_environment(device, Path(folder), steps=0)
        alone = {**observed, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        command = [*TRAIN, "--steps", "40"]
        return seconds(command, observed), seconds(command, alone)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=[], metavar="PART")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.parts or ("answer", "compiled", "overhead"):
        if name == "overhead":
            pairs = [overhead() for _ in range(arguments.runs)]
            ratio = statistics.median(with_it / without for with_it, without in pairs)
            rows.append((name, f"{statistics.median(pair[0] for pair in pairs):.1f}", f"ratio {ratio:.3f}"))
        else:
            times = [{"answer": answer, "compiled": compiled}[name]() for _ in range(arguments.runs)]
            rows.append((name, f"{statistics.median(times):.1f}", f"of {[round(each, 1) for each in times]}"))
    print(tabulate(rows, headers=("part", "median s", "")))


if __name__ == "__main__":
    main()
