"""A script's own step, on each card that was asked about."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from nanocheck.core.gpus import Gpu
from nanocheck.core.plan import Goal, Plan, PlanRow, Prices
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.background_run import BackgroundRuns, Variation
from nanocheck.measuring.request import Request
from nanocheck.planning.rows import rows
from nanocheck.search.scheduler import drive

AT_ONCE = 2


def plan_command(
    request: Request,
    cards: Sequence[Gpu],
    *,
    goal: Goal,
    prices: Prices,
    tokens_per_step: int | None = None,
    limits_w: Sequence[float] = (),
    show: Callable[[int, int, list[str]], None],
) -> Plan:
    """One run of the command for each card, its steps recorded; until Ctrl-C, which keeps what was found.

    Args:
        tokens_per_step, limits_w: as ``rows.rows``.
        show: called with finished runs, all runs, and the names of what runs.

    Raises:
        MachineError, RequestError: it could not be run at all.
    """
    timed = replace(request, time=True)
    found: dict[str, list[PlanRow]] = {}

    def on(gpu: Gpu) -> Generator[Sequence[Variation], Sequence[JudgedRun], None]:
        run = (yield [Variation(name=gpu.id, gpu=gpu.id)])[0]
        found[gpu.id] = rows(
            run, gpu, goal=goal, prices=prices, tokens_per_step=tokens_per_step, limits_w=limits_w
        )

    complete = False
    with (
        contextlib.suppress(KeyboardInterrupt),
        BackgroundRuns(timed, AT_ONCE, lambda done, names: show(done, len(cards), names)) as runs,
    ):
        drive(runs, [on(gpu) for gpu in cards])
        complete = True
    return Plan(
        command=tuple(request.command),
        goal=goal,
        prices=prices,
        platform=request.card.platform,
        complete=complete,
        rows=tuple(row for gpu in cards for row in found.get(gpu.id, [])),
    )
