"""A plan as a terminal shows it: what is planned, a row for each card, and what each figure is."""

from __future__ import annotations

from nanocheck.core.plan import Goal, Plan, PlanRow, Span
from nanocheck.core.units import mib
from nanocheck.report.blocks import Block, Prose, Words, prose, provenance, verdict
from nanocheck.report.terminal_table import table
from nanocheck.timing.energy import HIGH, LOW

_HOUR, _DAY = 3600.0, 86400.0
_NONE = "-"
#: Durations from here on are told in days.
_LONG_S = 2 * _DAY


def render(plan: Plan) -> list[Block]:
    """The whole plan."""
    days = any(row.horizon is not None and row.horizon.seconds.estimate >= _LONG_S for row in plan.rows)
    blocks: list[Block] = [prose(_goal(plan.goal), style="bold")]
    blocks.append(
        table([_row(row, plan, days=days) for row in plan.rows], whole=["card", "verdict"], left=["run"])
    )
    blocks += [_missing(row) for row in plan.rows if row.why_not]
    blocks += _notes(plan)
    if not plan.complete:
        blocks.append(prose("interrupted: cards that are not in the table were not run"))
    return blocks


def _goal(goal: Goal) -> str:
    if goal.steps is not None:
        return f"{goal.steps:,} optimizer steps"
    return f"{goal.tokens:,.0f} tokens"


def _row(row: PlanRow, plan: Plan, *, days: bool) -> dict[str, Words]:
    step, horizon = row.step_time, row.horizon
    unit, name = (_DAY, "days") if days else (_HOUR, "hours")
    found: dict[str, Words] = {
        "card": _card(row, plan),
        "verdict": verdict(row.verdict.kind),
        "headroom MiB": _NONE if row.verdict.headroom_bytes is None else mib(row.verdict.headroom_bytes),
    }
    if any(each.what for each in plan.rows):
        found["run"] = row.what
    found["ms a step"] = _NONE if step is None else _figure(step.seconds * 1e3)
    found["tokens/s"] = _tokens(row)
    found[name] = _NONE if horizon is None else _figure(horizon.seconds.estimate / unit)
    found["80 %"] = _NONE if horizon is None else _around(horizon.seconds, unit)
    found["at 100 %"] = _NONE if horizon is None else _figure(horizon.at_peak_seconds / unit)
    found["W"] = _NONE if row.board_watts is None else f"{row.board_watts:.0f}"
    found["kWh"] = _NONE if horizon is None else _figure(horizon.kwh.estimate)
    if plan.prices.kwh is not None:
        found["electricity"] = _money(None if horizon is None else horizon.electricity)
    if plan.prices.card_hour is not None:
        found["rent"] = _money(None if horizon is None else horizon.rent)
    return found


def _card(row: PlanRow, plan: Plan) -> str:
    """Its id, and its limit where there is a row for each of several."""
    limited = len({each.limit_w for each in plan.rows if each.gpu == row.gpu}) > 1
    return f"{row.gpu}, {row.limit_w:g} W" if limited else row.gpu


def _tokens(row: PlanRow) -> str:
    if row.step_time is None or row.tokens_per_step is None:
        return _NONE
    return f"{row.tokens_per_step / row.step_time.seconds:,.0f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _around(span: Span, unit: float = 1.0) -> str:
    if span.low is None or span.high is None:
        return _NONE
    return f"{_figure(span.low / unit)} to {_figure(span.high / unit)}"


def _money(span: Span | None) -> str:
    if span is None:
        return _NONE
    return f"{span.estimate:,.2f}"


def _missing(row: PlanRow) -> Prose:
    return prose(f"{row.gpu}: {row.why_not}", hanging=2)


def _notes(plan: Plan) -> list[Block]:
    planned = [row for row in plan.rows if row.horizon is not None]
    if not planned:
        return []
    factor = plan.prices.system_factor
    whole = f"times {factor:g} for the whole machine" if factor != 1 else "the card alone (--system)"
    steps = {row.horizon.steps for row in planned if row.horizon is not None}
    count = f"{min(steps):,}" if len(steps) == 1 else f"{min(steps):,} to {max(steps):,}"
    first = planned[0].horizon
    assert first is not None
    words: list[Words] = ["verdict: "]
    for each in sorted({row.verdict_provenance for row in planned}):
        words += [provenance(each), ", "]
    lines: list[Block] = [
        prose(
            *words[:-1],
            f"; time: {first.provenance.value}. {count} optimizer steps, without evaluation, checkpoints and "
            "restarts. at 100 %: every operation at the data sheet's dense peak, which nobody reaches.",
        ),
        prose(
            f"W: what published boards drew of their limit while they trained, {LOW:.0%} to {HIGH:.0%}. kWh: "
            f"computed from it, {whole}; {_around(first.kwh)} on {planned[0].gpu} with the span of both.",
        ),
    ]
    said: dict[str, list[str]] = {}
    for row in planned:
        step = row.step_time
        assert step is not None
        why = f" No interval: {step.no_interval}." if step.no_interval else ""
        said.setdefault(step.bottleneck + why, []).append(_card(row, plan))
    lines += [prose(f"{', '.join(cards)}: {sentence}", hanging=2) for sentence, cards in said.items()]
    if any(row.step_time is not None and row.step_time.decided_by == "host" for row in planned):
        lines.append(prose("The host's part was measured here: on a host like this one."))
    return lines
