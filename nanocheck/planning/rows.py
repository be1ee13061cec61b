"""One run on one card as rows of a plan: one for each power limit that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace as changed

from nanocheck.core.gpus import Gpu
from nanocheck.core.kernels import KernelList
from nanocheck.core.plan import Goal, PlanRow, Prices
from nanocheck.core.result import Provenance
from nanocheck.core.verdict import FITS, JudgedRun
from nanocheck.planning.horizon import horizon
from nanocheck.timing.card import Card, why_not_modelled
from nanocheck.timing.energy import board_watts, under_limit
from nanocheck.timing.estimate import estimate
from nanocheck.timing.of_run import host_seconds


def rows(
    run: JudgedRun,
    gpu: Gpu,
    *,
    goal: Goal,
    prices: Prices,
    tokens_per_step: int | None = None,
    limits_w: Sequence[float] = (),
) -> list[PlanRow]:
    """
    Args:
        run: with its recorded step, if there is one.
        tokens_per_step: where the list does not know it, or somebody knows it better.
        limits_w: of the board; without any, the catalog's.
    """
    kernels = run.result.main.kernels
    tokens = tokens_per_step or (kernels.tokens if kernels is not None else None)
    if kernels is not None:
        kernels = changed(kernels, tokens=tokens)
    return [
        _row(run, gpu, kernels, limit, goal=goal, prices=prices, tokens=tokens)
        for limit in limits_w or (float(gpu.tgp_w),)
    ]


def _row(
    run: JudgedRun,
    gpu: Gpu,
    kernels: KernelList | None,
    limit: float,
    *,
    goal: Goal,
    prices: Prices,
    tokens: int | None,
) -> PlanRow:
    result = run.result
    found = PlanRow(
        gpu=gpu.id,
        name=gpu.name,
        limit_w=limit,
        what="" if result.config is None else result.config.id,
        verdict=run.verdict,
        verdict_provenance=result.provenance,
        tokens_per_step=tokens,
    )
    why = _why_not(run, kernels)
    steps = goal.optimizer_steps(tokens)
    if why or kernels is None:
        return changed(found, why_not=why)
    rated = estimate(kernels, Card.of(gpu), host_seconds=host_seconds(kernels, result.main.host_time))
    step = under_limit(rated, gpu.tgp_w, limit)
    found = changed(found, step_time=step, board_watts=board_watts(step, limit))
    if steps is None:
        return changed(found, why_not="how many tokens a step trains on is not known (--tokens-per-step)")
    return changed(found, horizon=horizon(step, steps, limit_w=limit, prices=prices))


def _why_not(run: JudgedRun, kernels: KernelList | None) -> str:
    if not run.verdict.is_answer:
        return f"{run.verdict.sentence} (alone, with what it prints: nanocheck run --time -- ...)"
    if run.verdict.kind not in FITS:
        return run.verdict.sentence
    device = run.result.device
    if unknown := why_not_modelled(device.capability, device.name):
        return unknown
    if run.result.provenance is not Provenance.VIRTUAL:
        return "a real card ran it: its own clock tells the time"
    if kernels is None:
        return "no step was recorded: memory was not known while it ran, or it ended before a further step"
    return ""
