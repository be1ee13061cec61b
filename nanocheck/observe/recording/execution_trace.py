"""One step by PyTorch's execution trace, written to the run's folder: every operator with its tensors."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ExecutionTraceObserver, record_function

from nanocheck.observe import introspect, uncompiled_kernels
from nanocheck.observe.recording import compiling, operator_facts
from nanocheck.observe.recording.generated import Launches

MARK = "nanocheck:mark:"
SCHEMA = 1
OPERATORS, FACTS = "operators.json", "step.json"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """PyTorch says on the process's own stderr that it begins and ends."""
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


class StepTrace:
    """Begins where it is made; ``finish`` or ``drop`` ends it.

    Args:
        folder: of the run; the files are ``trace-<pid>-operators.json`` and ``trace-<pid>-step.json``.
    """

    def __init__(self, folder: str) -> None:
        self._stem = str(Path(folder) / f"trace-{os.getpid()}-")
        self._observer = ExecutionTraceObserver()
        self._launches = Launches()
        self._before = introspect.counters()
        self._compiled = compiling.state()
        self.launches = 0  # of the step, known when it is finished
        self._counted: dict[str, int] = {}
        self._paused = False
        self._observer.register_callback(self._stem + OPERATORS)
        self._written = Path(self._stem + OPERATORS).resolve()
        self._on()

    def _on(self) -> None:
        self._before = introspect.counters()
        with _silence():
            self._observer.start()
        uncompiled_kernels.recording = self._launches.launched

    def _off(self) -> None:
        uncompiled_kernels.recording = None
        with _silence():
            self._observer.stop()
        for name, value in introspect.counters().items():
            self._counted[name] = self._counted.get(name, 0) + value - self._before[name]

    def forked(self) -> None:
        """In a child of this process, a DataLoader's worker: it would go on to record, into the same file."""
        uncompiled_kernels.recording = None
        nothing = os.open(os.devnull, os.O_WRONLY)
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the one that lists them is gone
                if each.readlink() == self._written:
                    os.dup2(nothing, int(each.name))
        os.close(nothing)

    def mark(self, what: str) -> None:
        """A phase or a part begins or ends here."""
        if not self._paused:
            with record_function(MARK + what):
                pass

    def pause(self) -> None:
        """Leave out what comes, until ``resume``."""
        if not self._paused:
            self._paused = True
            self._off()

    def resume(self) -> None:
        """Go on."""
        if self._paused:
            self._paused = False
            self._on()

    def finish(self, **facts: Any) -> bool:
        """The step is over; whether the files are there. Nothing is kept of one in which something compiled.

        Args:
            facts: written beside what is known here.
        """
        if compiling.state() != self._compiled:
            self.drop()
            return False
        self.pause()
        self._observer.unregister_callback()
        self.launches = self._counted.get("launches", 0) + len(self._launches.made)
        written = {
            "schema": SCHEMA,
            "torch": torch.__version__,
            "capability": torch.cuda.get_device_capability(),
            "device": torch.cuda.current_device(),
            "tf32": operator_facts.rounds_to_tf32(),
            "generated": self._launches.made,
            "counters": self._counted,
            "operators": operator_facts.operators_of_the_card(),
            "multi_tensor": operator_facts.multi_tensor(),
            **facts,
        }
        # The facts come last and at once: where they are, the trace is whole.
        made = Path(self._stem + FACTS + ".new")
        made.write_text(json.dumps(written))
        made.replace(self._stem + FACTS)
        return True

    def drop(self) -> None:
        """It was no step to be recorded."""
        self.pause()
        self._observer.unregister_callback()
        Path(self._stem + OPERATORS).unlink(missing_ok=True)
