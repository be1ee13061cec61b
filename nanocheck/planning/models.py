"""A step of the reference models, on each card: one that was named, or the fastest that fits there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import Gpu
from nanocheck.core.plan import Goal, Plan, PlanRow, Prices
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, JudgedRun
from nanocheck.measuring.configurations import PATIENT, Measurement
from nanocheck.planning.rows import rows
from nanocheck.process.pool import Observer


def plan_model(
    choose: Callable[[Target], StepConfig | JudgedRun],
    cards: Sequence[Gpu],
    *,
    platform: str = "linux",
    reserve_bytes: int = 0,
    margin_bytes: int = DEFAULT_MARGIN_BYTES,
    goal: Goal,
    prices: Prices,
    limits_w: Sequence[float] = (),
    show: Observer | None = None,
) -> Plan:
    """One recorded run for each card; until Ctrl-C, which keeps what was found.

    Args:
        choose: what to run on a card; where nothing fits, the run that came nearest.
        limits_w: as ``rows.rows``.
        show: told of each run's stages.

    Raises:
        MachineError: nothing can run here.
        RequestError: what ``choose`` raises.
    """
    found: list[PlanRow] = []
    complete = False
    with contextlib.suppress(KeyboardInterrupt):
        for gpu in cards:
            target = Target(kind="virtual", gpu=gpu, platform=platform, reserve_bytes=reserve_bytes)
            chosen = choose(target)
            if isinstance(chosen, JudgedRun):
                found += rows(chosen, gpu, goal=goal, prices=prices, limits_w=limits_w)
                continue
            found += _recorded(
                chosen, target, margin_bytes, goal=goal, prices=prices, limits_w=limits_w, show=show
            )
        complete = True
    return Plan(goal=goal, prices=prices, platform=platform, complete=complete, rows=tuple(found))


def _recorded(
    config: StepConfig,
    target: Target,
    margin_bytes: int,
    *,
    goal: Goal,
    prices: Prices,
    limits_w: Sequence[float],
    show: Observer | None,
) -> list[PlanRow]:
    with Measurement(target, workers=1, progress=show, deadlines=PATIENT) as measurement:
        result = measurement.submit(config, record=True).result()
    run = JudgedRun.of(result, margin_bytes)
    return rows(run, target.gpu, goal=goal, prices=prices, limits_w=limits_w)
