"""How long an optimizer step of a script took on a real card: what of its readings counts, and why not."""

from __future__ import annotations

import msgspec

from nanocheck.core.steadiness import LEAST_SAMPLES, Load, Seconds, is_settled, why_refused

#: The warm-up takes so long in any case.
LEAST_WARM_S = 1.0
COMPUTES_NOTHING = "the virtual card computes nothing"


class StepReadings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read, uninterpreted.

    Attributes:
        seconds: of each step by CUDA events, in order; empty on the virtual card.
        steps: that ran meanwhile.
        load: the card's state from the first to the last.
    """

    seconds: tuple[float, ...] = ()
    steps: int = 0
    load: Load | None = None


class MeasuredStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Attributes:
        seconds: of the steps after the warm-up; where the speed never settled, of the last ones; None where
            nothing was read.
        warm_up: steps before them.
        load: the card's state meanwhile.
        refused: why the seconds do not count; empty where they do.
    """

    seconds: Seconds | None
    warm_up: int = 0
    load: Load | None = None
    refused: str = ""

    @classmethod
    def of(cls, found: StepReadings, *, virtual: bool) -> MeasuredStep:
        """
        Args:
            virtual: by the process's own word, the virtual card ran it.

        Raises:
            ValueError: a reading is no time.
        """
        readings = found.seconds
        if virtual or not readings:
            why = COMPUTES_NOTHING if virtual else "the script ended before two further steps"
            return cls(seconds=None, load=found.load, refused=why)
        warm_up = _warm_up(readings)
        counted = readings[-2 * LEAST_SAMPLES :] if warm_up is None else readings[warm_up:]
        seconds = Seconds.of(counted)
        return cls(
            seconds=seconds,
            warm_up=len(readings) - len(counted),
            load=found.load,
            refused=why_refused(seconds, settled=warm_up is not None, load=found.load),
        )


def _warm_up(readings: tuple[float, ...]) -> int | None:
    """Steps until the speed had settled; None: it never did, or nothing came after."""
    for count in range(1, len(readings)):
        if is_settled(readings[:count]) and sum(readings[:count]) >= LEAST_WARM_S:
            return count
    return None
