"""The fastest configuration that fits a card, for a plan that names a model and no batch."""

from __future__ import annotations

from dataclasses import replace

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.verdict import JudgedRun
from nanocheck.search import advisor
from nanocheck.search.advice import Question, smallest


def fastest(question: Question, runner: advisor.Measures) -> StepConfig | JudgedRun:
    """The advisor's first answer; the run that came nearest where it has none.

    Raises:
        KeyboardInterrupt: it was interrupted, and what it had found may not be the fastest.
        RequestError: see ``advisor.advise``; or nothing was run.
    """
    advice = advisor.advise(replace(question, top=1), runner)
    if not advice.complete:
        raise KeyboardInterrupt
    if advice.recommendations:
        return advice.recommendations[0].config
    nearest = smallest(advice)
    if nearest is None:
        raise RequestError(
            f"expected something to run on {question.target.gpu.id}, found nothing that could fit",
            hint="name it: --batch 1 --methods ...",
        )
    return nearest.run
