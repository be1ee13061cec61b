"""Record the kernels of reference steps on a virtual card: lists for the model of time.

    python benchmarks/timing/record.py            # every step below
    python benchmarks/timing/record.py eager      # those with this word in their name

Writes ``lists/NAME.json.gz`` beside this file (a ``KernelList``), and prints how long recording took.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.kernels import KernelList
from nanocheck.measuring.configurations import Measurement, trace_folder
from nanocheck.tracing.kernel_list import kernel_lists

LISTS = Path(__file__).parent / "lists"
GPU = "rtx4090"
STEPS = {
    "gpt2-124m-b8-eager": StepConfig(batch=8),
    "gpt2-124m-b8-compiled": StepConfig(batch=8, compile="default"),
    "gpt2-124m-b8-accumulation40-compiled": StepConfig(batch=8, compile="default", accumulation=40),
    "gpt2-124m-b4-t512-fp32-eager": StepConfig(batch=4, block_size=512, dtype="fp32"),
}


def record(config: StepConfig, gpu: str = GPU) -> tuple[KernelList, str]:
    """The step's kernels, and a line about the run.

    Raises:
        AssertionError: the run did not end well.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Target(kind="virtual", gpu=find_gpu(gpu))
        began = time.monotonic()
        with Measurement(target, workers=1, trace=Path(folder)) as measurement:
            result = measurement.submit(config).result()
        took = time.monotonic() - began
        assert result.outcome.value == "completed", result.detail
        host = result.processes[0].host_time
        assert host is not None
        tokens = config.batch * config.block_size * config.accumulation
        began = time.monotonic()
        (found,) = kernel_lists(trace_folder(Path(folder), config), tokens)
        read = time.monotonic() - began
        return found, f"run {took:.1f} s, list {read:.2f} s, host's step {host.median_s:.4f} s"


def main() -> None:
    """Every step whose name holds the word."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    LISTS.mkdir(exist_ok=True)
    for name, config in STEPS.items():
        if word in name:
            found, line = record(config)
            path = LISTS / f"{name}.json.gz"
            path.write_bytes(gzip.compress(msgspec.json.encode(found), mtime=0))
            operations = sum(kernel.operations * times for kernel, times in found)
            launches = sum(kernel.launches * times for kernel, times in found)
            print(
                f"{name}: {operations:.6g} operations, {launches} launches, "
                f"{path.stat().st_size} bytes; {line}"
            )


if __name__ == "__main__":
    main()
