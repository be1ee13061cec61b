"""How long a step took on a real card, in words."""

from __future__ import annotations

from nanocheck.core.measured_step import MeasuredStep


def sentence(found: MeasuredStep | None, card: str) -> str:
    """With its spread; or why there is none, or why it does not count."""
    if found is None:
        return "no time: memory was not known while the script ran, or it ended before a further step"
    if found.seconds is None:
        return f"a step was not timed: {found.refused}"
    seconds = found.seconds
    power = "" if found.load is None or found.load.power_w is None else f", {found.load.power_w:.0f} W"
    refused = f"; does not count: {found.refused}" if found.refused else ""
    return (
        f"MEASURED: {1e3 * seconds.median_s:.2f} ms a step on {card} ({1e3 * seconds.lower_s:.2f} to "
        f"{1e3 * seconds.upper_s:.2f} of {seconds.samples} steps after {found.warm_up}{power}){refused}"
    )
