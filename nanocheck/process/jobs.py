"""What goes into the pool and what comes out: plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nanocheck.core.errors import RequestError

#: Stages every job goes through before its task names its own with ``emit("stage", name)``:
#: ``start`` until the child is forked, ``import`` until the task is imported, then ``run``.
STAGES = ("start", "import", "run")

#: ok: a result. error: the task raised. crashed: the process died. timeout: a stage passed its
#: deadline. garbage: the result channel carried something that is no message of ours.
OUTCOMES = ("ok", "error", "crashed", "timeout", "garbage")


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long each stage of a job may take, in seconds.

    Attributes:
        stages: seconds per stage name.
        default: for every stage that is not named there.
        preload: until the server has imported its modules.
        grace: between SIGTERM and SIGKILL.
        reply: until the server must have reported the end of a killed process.
    """

    stages: Mapping[str, float] = field(default_factory=lambda: {"start": 60.0, "import": 120.0})
    default: float = 300.0
    preload: float = 180.0
    grace: float = 2.0
    reply: float = 10.0

    def limit(self, stage: str, overrides: Mapping[str, float]) -> float:
        """Seconds allowed for a stage, the job's own overrides first."""
        return overrides.get(stage, self.stages.get(stage, self.default))


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call in a process of its own.

    Attributes:
        id: for people; need not be unique.
        task: ``package.module:function``, called as ``function(payload, emit)``.
        payload: anything JSON can hold.
        environment: set in the child before the task is imported; ``None`` unsets a variable.
        deadlines: seconds per stage, before those of the pool.
    """

    id: str
    task: str
    payload: Any = None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    deadlines: Mapping[str, float] = field(default_factory=dict)

    def encode(self) -> bytes:
        """What the child needs, as JSON.

        Raises:
            RequestError: JSON cannot hold the payload.
        """
        data = {"task": self.task, "payload": self.payload, "environment": dict(self.environment)}
        try:
            return json.dumps(data, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise RequestError(
                f"job {self.id}: expected a payload that JSON can hold, found: {error}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class JobError:
    """An exception that left the task. The last three only where it was a ``NanocheckError``."""

    type: str
    message: str
    traceback: str
    problem: str | None = None
    hint: str | None = None
    exit_code: int | None = None

    @classmethod
    def from_dict(cls, data: Any) -> JobError:
        """
        Raises:
            TypeError: missing or unknown fields, or fields of another type.
        """
        error = cls(**data)
        texts = [error.type, error.message, error.traceback, error.problem or "", error.hint or ""]
        if not all(type(text) is str for text in texts) or type(error.exit_code) not in (int, type(None)):
            raise TypeError(f"expected texts and an exit code, found {data!r:.200}")
        return error


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """How one job ended.

    Attributes:
        outcome: see ``OUTCOMES``.
        value: what the task returned (outcome ``ok``).
        error: what it raised (outcome ``error``).
        reason: one sentence for people; empty when ok.
        stage: the stage in which it ended.
        seconds: wall time per stage, in the order they ran.
        partials: the data of every ``emit("partial", data)``.
        output: last 16 KiB of stdout and stderr together.
        output_bytes: how much there was in all.
        exit_code, signal: how the process ended; both ``None`` if nobody saw it end.
        maxrss_bytes: the child's largest resident set, from ``wait4``.
    """

    id: str
    outcome: str
    value: Any = None
    error: JobError | None = None
    reason: str = ""
    stage: str = "start"
    seconds: Mapping[str, float] = field(default_factory=dict)
    partials: tuple[Any, ...] = ()
    output: str = ""
    output_bytes: int = 0
    exit_code: int | None = None
    signal: str | None = None
    maxrss_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)
