"""What goes to the worker of a configuration, and what it says of itself on the way. No torch."""

from __future__ import annotations

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.result import Environment, Peak, Provenance


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is asked for.

    Attributes:
        steps: exactly so many optimizer steps; ``None``: until the peak has settled.
        every_micro_batch: run also those that can change nothing any more.
        trace: folder in which a step is recorded, once the peak has settled and steps were timed.
        compile_kernels: compile Triton's kernels although nothing will execute them. Both are for tests that
            show that leaving it out changes nothing.
    """

    config: StepConfig
    device: Device
    steps: int | None = None
    every_micro_batch: bool = False
    compile_kernels: bool = False
    trace: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What survives if this process dies: where it ran, and its peaks so far."""

    provenance: Provenance
    environment: Environment
    peaks: tuple[Peak, ...] = ()
