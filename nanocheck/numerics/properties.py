"""What any correct training does, judged on its trace. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from nanocheck.core.config import StepConfig
from nanocheck.numerics.trace import Trace

#: Steps of each window whose mean must fall.
WINDOW = 8
#: Nats around ln V for the first loss. The head is tied, so a token scores about 0.9 nats for being
#: repeated (normed vector of length sqrt(64) times a row of 64 draws of std 0.02, half of it the token's
#: own). 15 % of the text's tokens repeat the one before (runs of spaces), with a standard deviation of
#: 0.11 over batches of 4 windows of 32: 0.9 * (0.15 + 3.5 * 0.11).
START_BAND = 0.5
#: Nats within which one batch, seen over and over, must be known by heart.
KNOWN_BY_HEART = 0.05


def start_problem(trace: Trace, config: StepConfig) -> str | None:
    """What is wrong with the first loss; an untrained model spreads its bets evenly over V tokens."""
    expected, found = math.log(config.vocab_size), trace.losses[0]
    if abs(found - expected) <= START_BAND:
        return None
    return f"the first loss: expected ln V = {expected:.4f} within {START_BAND} nats, found {found:.4f}"


def decrease_problem(trace: Trace) -> str | None:
    """What is wrong with the slope: the mean of every window of steps is below the one before."""
    means = window_means(trace.losses)
    if len(means) > 1 and all(later < earlier for earlier, later in pairwise(means)):
        return None
    return f"the loss does not fall: means of {WINDOW} steps are {', '.join(f'{mean:.4f}' for mean in means)}"


def overfit_problem(trace: Trace) -> str | None:
    """What is wrong with a run that saw one batch over and over."""
    last = trace.losses[-1]
    if last <= KNOWN_BY_HEART:
        return None
    return (
        f"one batch over {len(trace.losses)} steps: expected at most {KNOWN_BY_HEART} nats, found {last:.4f}"
    )


def window_means(losses: Sequence[float]) -> list[float]:
    """Means of consecutive windows of ``WINDOW`` losses; a remainder is left out."""
    whole = len(losses) // WINDOW * WINDOW
    return [sum(losses[start : start + WINDOW]) / WINDOW for start in range(0, whole, WINDOW)]


def slope(losses: Sequence[float]) -> float:
    """Nats per step that the mean of a window falls, from the first window to the last."""
    means = window_means(losses)
    return (means[0] - means[-1]) / (WINDOW * (len(means) - 1))


#: Watched because a run that will blow up often shows it here first, long before its loss does.
CANARIES = ("grad_norm", "largest_logit", "update_ratio")


def canaries(trace: Trace) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each canary over the run, of those that the model has."""
    found = {}
    for name in CANARIES:
        values = [value for step in trace.steps if (value := getattr(step, name)) is not None]
        if values:
            found[name] = (min(values), max(values))
    return found
