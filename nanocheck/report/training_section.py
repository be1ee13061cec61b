"""What the suites that compute found, for the report of a card. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from nanocheck.numerics.cases import oracle
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.tiers import TIERS, distance
from nanocheck.numerics.trace import Trace
from nanocheck.report.section import Section

TITLE = "Does the step still train"
#: What no short suite can say.
LIMITS = (
    "What this cannot certify: a few dozen steps of a small model see no instability that needs thousands. "
    "bf16 runs are known to diverge after tens of thousands of steps, from growing logits or a slowly "
    "drifting norm, with every short check green; learning-rate schedules, long contexts and large widths "
    "were not run either. In a long run watch the canaries: gradient norm, largest logit and update ratio "
    "(norm of a step's change over the parameters' norm), which leave their bands before the loss shows it."
)


def section(seen: Mapping[Plan, Trace], date: str) -> Section | None:
    """The section of a session's runs; None where no run has its oracle beside it.

    Args:
        seen: every run that a test asked for.
    """
    rows, environment = [], {}
    for plan, trace in seen.items():
        formulas = seen.get(oracle(plan))
        if formulas is None or plan.oracle or plan.resumes is not None:
            continue
        environment = dict(trace.environment)
        rows.append(_row(plan, trace, formulas))
    if not rows:
        return None
    where = f"{environment['device']}, torch {environment['torch']}"
    text = (
        f"measured, real arithmetic on {where}, {date}: runs of a small GPT-2 beside the "
        "formulas in fp64 (never on the virtual GPU, which computes nothing). Tiers: "
    ) + "; ".join(f"{name}: {promise}" for name, promise in TIERS.items())
    columns = tuple(rows[0])
    return Section(
        title=TITLE,
        paragraphs=(text + ".", LIMITS),
        columns=columns,
        cells=tuple(tuple(row.values()) for row in rows),
        right=tuple(name for name in columns if name not in ("configuration", "attention")),
    )


def _row(plan: Plan, trace: Trace, formulas: Trace) -> dict[str, str]:
    apart = distance(trace, formulas)
    ratios = [step.update_ratio for step in trace.steps if step.update_ratio is not None]
    logits = [step.largest_logit for step in trace.steps if step.largest_logit is not None]
    return {
        "configuration": plan.config.id + _variant(plan),
        "steps": str(len(trace.steps)),
        "first loss": f"{trace.losses[0]:.5f}",
        "last loss": f"{trace.losses[-1]:.5f}",
        "from fp64: loss (nats)": f"{apart.loss:.2g}",
        "norm": f"{apart.grad_norm:.2g}",
        "parameters": f"{apart.parameters:.2g}",
        "gradient norm": f"{min(trace.grad_norms):.2f} to {max(trace.grad_norms):.2f}",
        "largest logit": f"{max(logits):.2f}" if logits else "-",
        "update ratio": f"{min(ratios):.2g} to {max(ratios):.2g}" if ratios else "-",
        "attention": trace.facts.get("attention", "-"),
    }


def _variant(plan: Plan) -> str:
    words = [f"attention {plan.attention}"] if plan.attention else []
    words += [f"{plan.threads} threads"] if plan.threads > 1 else []
    return f" ({', '.join(words)})" if words else ""
