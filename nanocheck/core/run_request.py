"""A run that somebody wants: a configuration, and where it differs from the session's own device."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import PLATFORMS
from nanocheck.core.units import parse_size_of

#: Fewer than three steps never show a steady state; more than these are a slip of the pen.
STEPS = range(3, 1001)
WHERE = ("gpu", "platform", "reserve", "steps", "time")
MAY_BE_REFUSED = "may_be_refused"
_CONFIG = tuple(field.name for field in fields(StepConfig))


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What to run and where; ``None`` leaves the choice to the session.

    Attributes:
        gpu: id of a card. platform: ``linux`` or ``windows``. reserve_bytes: used by other processes.
        steps: exactly so many optimizer steps; ``None``: until the peak has settled.
        time: whether a step is recorded, too, so that it is known how long one takes.
    """

    config: StepConfig
    gpu: str | None = None
    platform: str | None = None
    reserve_bytes: int | None = None
    steps: int | None = None
    time: bool = False


@dataclass(frozen=True)
class RefusedConfig:
    """A configuration that nanocheck does not build, and why."""

    why: str


def read_request(data: Mapping[str, object], *, where: bool = True) -> RunRequest | RefusedConfig:
    """The request of plain data: fields of ``StepConfig``, and ``gpu``, ``platform``, ``reserve``
    (``"2450 MiB"``), ``steps``, ``time``, ``may_be_refused``.

    Args:
        where: whether it will run, so that it may say where.

    Raises:
        RequestError: an unknown field, or an invalid value; also a configuration that cannot be built, unless
            ``may_be_refused`` says that this is the point.
    """
    known = (*_CONFIG, MAY_BE_REFUSED, *(WHERE if where else ()))
    for name in data:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise RequestError(
                f"expected fields of a configuration, found {name!r}",
                hint=f"write {close[0]}" if close else f"use these fields: {', '.join(known)}",
            )
    may_be_refused, time = (_flag(data, name) for name in (MAY_BE_REFUSED, "time"))
    gpu, platform, reserve = (_text(data, name) for name in ("gpu", "platform", "reserve"))
    if platform is not None and platform not in PLATFORMS:
        raise RequestError(f"platform: expected one of {', '.join(PLATFORMS)}, found {platform!r}")
    try:
        config = StepConfig.from_dict({name: data[name] for name in data if name in _CONFIG})
    except RequestError as error:
        if may_be_refused:
            return RefusedConfig(error.problem)
        raise
    return RunRequest(
        config=config,
        gpu=gpu,
        platform=platform,
        reserve_bytes=None if reserve is None else parse_size_of("reserve", reserve),
        steps=_steps(data),
        time=time,
    )


def _flag(data: Mapping[str, object], name: str) -> bool:
    value = data.get(name, False)
    if type(value) is not bool:
        raise RequestError(f"{name}: expected True or False, found {value!r}")
    return value


def _text(data: Mapping[str, object], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{name}: expected text, found {value!r}")
    return value


def _steps(data: Mapping[str, object]) -> int | None:
    value = data.get("steps")
    if value is not None and (type(value) is not int or value not in STEPS):
        raise RequestError(f"steps: expected a number from {STEPS[0]} to {STEPS[-1]}, found {value!r}")
    return value
