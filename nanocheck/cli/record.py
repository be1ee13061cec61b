"""Train small models here and keep what they computed, to be compared after an upgrade or a change.

Real arithmetic, on the CPU or a real GPU: losses, gradient norms and fingerprints of all parameters after
every step, and how far each run is from something finer. `nanocheck compare` then says what moved.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanocheck.core.config import StepConfig

DEVICES = ("auto", "cpu", "cuda")


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="where the recording goes, such as before.json")
    add("--force", action="store_true", help="replace a recording that is there already")
    add("--matrix", type=Path, metavar="FILE", help="record the configurations of this TOML file instead")
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="record one configuration of your own instead, such as --set n_embd=64 --set dtype=fp16",
    )
    add("--compile", action="store_true", help="the default ones with torch.compile, too: minutes on a CPU")
    add("--steps", type=int, metavar="N", help="optimizer steps of each (default 8)")
    add("--threads", type=int, default=1, metavar="N", help="of the CPU (default 1: sums in one order)")
    add("--device", choices=DEVICES, default="auto", help="auto: a real GPU where there is one")
    add("--workers", type=int, default=1, metavar="N", help="trainings at once (default 1)")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: the file is there already, or a configuration or matrix is wrong.
        MachineError: nothing can be started here, or the file cannot be written.
        NanocheckError: nothing could be trained, or a figure is not finite: nothing is written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.numerics import recorder
    from nanocheck.numerics.recording import save
    from nanocheck.numerics.training.runs import Runs
    from nanocheck.report.blocks import prose, stack
    from nanocheck.report.console import show
    from nanocheck.report.progress import Progress

    if arguments.file.exists() and not arguments.force:
        raise RequestError(
            f"expected a new file, found {arguments.file}: what it holds may be all that is left of before",
            hint="name another file, or pass --force",
        )
    steps = recorder.STEPS if arguments.steps is None else arguments.steps
    for option, value in (
        ("--steps", steps),
        ("--threads", arguments.threads),
        ("--workers", arguments.workers),
    ):
        if value < 1:
            raise RequestError(f"{option}: expected at least 1, found {value}")
    plans = [
        recorder.plan_of(config, steps=steps, threads=arguments.threads) for config in _configs(arguments)
    ]
    progress = Progress()
    try:
        compiled = any(plan.config.compile != "off" for plan in plans)
        with Runs(arguments.device, arguments.workers, compiled=compiled) as runs:
            found = recorder.record(plans, runs, progress)
    finally:
        progress.clear()
    save(arguments.file, found)
    failed = [each for each in found.runs if each.trace is None]
    where = ", ".join(
        f"{name} {value}" for name, value in found.environment.items() if name != "device" and value
    )
    count = f"{len(found.runs) - len(failed)} of {len(found.runs)}"
    lines = [f"not recorded: {each.name}: {each.failed}" for each in failed]
    lines += [f"{arguments.file}: {count} configurations recorded", f"{found.provenance}; {where}"]
    show([stack(*map(prose, lines))])
    return 0


def _configs(arguments: argparse.Namespace) -> list[StepConfig]:
    from nanocheck.core.errors import RequestError
    from nanocheck.core.matrix import load_matrix
    from nanocheck.numerics import recorder

    if bool(arguments.matrix) + bool(arguments.set) + arguments.compile > 1:
        raise RequestError(
            "expected one of --matrix, --set and --compile, found more: --compile adds to the default ones",
            hint='write compile = "default" into the matrix, or --set compile=default',
        )
    if arguments.matrix is not None:
        return list(load_matrix(arguments.matrix).configs)
    if arguments.set:
        from nanocheck.cli.configuration import configuration

        return [configuration(arguments.set)]
    return list(recorder.default_configs(compiled=arguments.compile))
