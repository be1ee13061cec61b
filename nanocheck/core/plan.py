"""A whole training run on a card: how long, how much energy, how much money.

Seconds are *modelled* where they come from a ``StepTime``; energy and money are *computed* from them.

Schema history (``SCHEMA``):
1. the first.
"""

from __future__ import annotations

import math

import msgspec

from nanocheck import __version__
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Provenance
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import Verdict

SCHEMA = 1
#: More than was ever trained on, and still a number whose product with a price is one.
_MOST = 1e18


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be reached: one of the two.

    Raises:
        RequestError: both or neither, or no number above 0.
    """

    tokens: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = [each for each in (self.tokens, self.steps) if each is not None]
        if len(given) != 1:
            raise RequestError(
                f"expected --tokens or --total-steps, found {'both' if given else 'neither'}",
                hint="--tokens 38e9",
            )
        if not (math.isfinite(given[0]) and 1 <= given[0] <= _MOST):
            raise RequestError(f"expected 1 to {_MOST:g} tokens or steps, found {given[0]:g}")

    def optimizer_steps(self, tokens_per_step: int | None) -> int | None:
        """How many it takes, the last one whole; None where a step's tokens are needed and not known."""
        if self.steps is not None:
            return self.steps
        assert self.tokens is not None
        return math.ceil(self.tokens / tokens_per_step) if tokens_per_step else None


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid, in one currency, whichever; nothing of it is built in.

    Attributes:
        kwh: of electricity. card_hour: of a rented card.
        system_factor: what the whole machine draws, in cards: 1 is the card alone.

    Raises:
        RequestError: a price below 0, or a machine that draws less than its card.
    """

    kwh: float | None = None
    card_hour: float | None = None
    system_factor: float = 1.0

    def __post_init__(self) -> None:
        for option, price in (("--price", self.kwh), ("--rent", self.card_hour)):
            if price is not None and not (math.isfinite(price) and price >= 0):
                raise RequestError(f"{option}: expected a price of at least 0, found {price:g}")
        if not (math.isfinite(self.system_factor) and self.system_factor >= 1):
            raise RequestError(
                f"--system: expected at least 1, found {self.system_factor:g}",
                hint="--system 1.4   # the whole machine draws forty percent more than its card",
            )


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate and what lies around it; ``low`` and ``high`` are None where nothing is known of that."""

    estimate: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> Span:
        """All of it, multiplied."""
        low, high = (None if each is None else each * factor for each in (self.low, self.high))
        return Span(estimate=self.estimate * factor, low=low, high=high)


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    """The optimizer steps of a whole run on one card; no evaluation, no checkpoint, no restart.

    Attributes:
        seconds: modelled; the span holds 80 % of real runs, as ``StepTime.interval``.
        at_peak_seconds: if every operation ran at the data sheet's dense peak, which nobody reaches.
        kwh: of card or machine (``Prices.system_factor``): ``board_watts`` for ``seconds``; the least and the
            most that published boards drew, for the shortest and the longest.
        electricity, rent: kWh and hours at the given price; None where none was given.
    """

    steps: int
    seconds: Span
    at_peak_seconds: float
    kwh: Span
    electricity: Span | None
    rent: Span | None
    provenance: Provenance = Provenance.MODELLED


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """One card, or one power limit of it.

    Attributes:
        limit_w: watts that the board may draw.
        what: the configuration's id; empty for a command.
        verdict: whether it fits, and ``verdict_provenance`` how that is known.
        tokens_per_step: None where it is not known.
        board_watts: average of a step, by what published boards drew of their limit.
        why_not: why there is no horizon; empty where there is one.
    """

    gpu: str
    name: str
    limit_w: float
    what: str
    verdict: Verdict
    verdict_provenance: Provenance
    tokens_per_step: int | None = None
    step_time: StepTime | None = None
    board_watts: float | None = None
    horizon: Horizon | None = None
    why_not: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What ``nanocheck plan`` found; ``complete``: not interrupted."""

    schema: int = SCHEMA
    nanocheck: str = __version__
    command: tuple[str, ...] = ()
    goal: Goal
    prices: Prices
    platform: str
    complete: bool
    rows: tuple[PlanRow, ...]
