"""Run a script as ``nanocheck run`` does, and keep what its processes wrote."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from forked_runs import can_fork, run_forked

from nanocheck.attribution.command_result import command_result
from nanocheck.attribution.event_reader import Observation, read
from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.result import Ending, How, RunResult
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.command_environment import child_environment


@dataclass
class Seen:
    """A script that ran to its end under observation."""

    folder: Path
    target: Target
    ending: Ending
    seconds: float
    stdout: str
    stderr: str

    def processes(self) -> list[Observation]:
        return read(self.folder)

    def result(self) -> RunResult:
        return command_result(
            self.folder,
            self.processes(),
            command=["script"],
            device=self.target.device,
            machine=self.target.machine,
            ending=self.ending,
            seconds=self.seconds,
        )

    def judged(self) -> JudgedRun:
        return JudgedRun.of(self.result())

    def printed(self) -> dict[str, str]:
        """What the script printed as ``name value``."""
        return dict(line.split(" ", 1) for line in self.stdout.splitlines() if line.count(" ") == 1)


def observe(
    script: str | Path,
    folder: Path,
    *arguments: str,
    gpu: str = "rtx4070",
    steps: int = 3,
    reserve_bytes: int = 0,
    time: bool = False,
    environment: dict[str, str] | None = None,
    launcher: Sequence[str] = (),
    ranks: str = "all",
    forks: bool | None = None,
) -> Seen:
    """Observe a script, given as text or as a file, in a child of this process.

    Args:
        gpu: a card of the catalog, or a machine of several (``core.machine``).
        ranks: those that run, of a distributed script.
        forks: it is run in a fork of a Python that has imported torch (``forked_runs``), where that makes no
            difference. By default a text is, which is about what a script does, and a program is not.
    """
    if forks is None:
        forks = isinstance(script, str)
    if isinstance(script, str):
        path = folder / "script.py"
        path.write_text(textwrap.dedent(script))
        script = path
    journals = folder / "journals"
    journals.mkdir()
    target = CardQuestion(gpu=gpu, device="virtual", reserve_bytes=reserve_bytes).select().target
    began = monotonic()
    asked = child_environment(target, journals, steps=steps, time=time, ranks=ranks)
    variables = {**asked, **(environment or {})}
    if forks and not launcher and can_fork([script, *arguments], environment or {}):
        ran = run_forked([str(script), *arguments], variables, folder, 300)
    else:
        ran = subprocess.run(
            [*(launcher or (sys.executable,)), str(script), *arguments],
            env=variables,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    how = How.FINISHED if ran.returncode == 0 else How.FAILED if ran.returncode > 0 else How.KILLED
    ending = Ending(how=how, exit_code=ran.returncode if ran.returncode >= 0 else 128 - ran.returncode)
    return Seen(journals, target, ending, monotonic() - began, ran.stdout, ran.stderr)
