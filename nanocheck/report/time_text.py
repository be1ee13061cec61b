"""How long a step would take, as people read it: modelled, beside what was measured of this host."""

from __future__ import annotations

from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import KernelList
from nanocheck.core.result import RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.report.blocks import Block, prose
from nanocheck.report.terminal_table import Table, table
from nanocheck.timing.card import why_not_modelled

#: Under every estimate.
NOBODY_TIMED = "no such card was timed; docs/time.md says how far the model was off where somebody did"


def time_blocks(result: RunResult, found: StepTime | None) -> list[Block]:
    """Of ``--time``; where there is no estimate, why."""
    host = result.main.host_time
    if found is None:
        unknown = why_not_modelled(result.device.capability, result.device.name)
        return [prose(f"no time: {unknown or why_not(host)}")]
    shown = [{"what": what, "ms": figure, "more": more} for what, figure, more in figures(found, host)]
    return [
        prose(f"MODELLED: {headline(found, result.device.name)}"),
        table(shown, whole=["what"], left=["more"], header=False),
        _kinds(found),
        *(prose(f"note: {each}") for each in notes(found, result.main.kernels)),
    ]


def ms(seconds: float) -> str:
    """Milliseconds without the unit."""
    return f"{seconds * 1e3:,.1f}"


def headline(found: StepTime, card: str) -> str:
    """The estimate in a sentence, and what decides in another."""
    speed = "" if found.tokens_per_second is None else f", {found.tokens_per_second:,.0f} tokens/s,"
    return f"{ms(found.seconds)} ms a step{speed} on {card}{_span(found)}. {found.bottleneck}"


def notes(found: StepTime, kernels: KernelList | None) -> list[str]:
    """What must stand under the estimate."""
    uncounted = kernels.no_tokens if kernels is not None else None
    why = [f"no tokens/s: {uncounted}"] if uncounted else []
    why += [f"no interval: {found.no_interval}"] if found.no_interval else []
    return [*why, NOBODY_TIMED]


def span(found: StepTime) -> str:
    """The interval in milliseconds, for a column; a dash where there is none."""
    return "-" if found.interval is None else f"{ms(found.interval.low)} to {ms(found.interval.high)}"


def _span(found: StepTime) -> str:
    if found.interval is None:
        return ""
    return f", {found.interval.level:.0%} of real steps within {span(found)}"


def why_not(host: HostTime | None) -> str:
    """Why a run that was asked for its time has none."""
    if host is None:
        return "memory was not known while the script ran, or it ended before a further step"
    return "no step was recorded: something compiled in each that was tried, or the script ended"


def figures(found: StepTime, host: HostTime | None) -> list[tuple[str, str, str]]:
    """What a figure is called, the figure, and how it is meant."""
    rows = [
        ("the card alone", ms(found.card_seconds), "if launches never keep it waiting"),
        ("floor", ms(found.floor), "exact operations at the data sheet's peak, or bytes at its bandwidth"),
    ]
    if host is not None and host.median_s is not None:
        more = f"measured: {len(host.seconds)} steps of this machine, without the driver's own share"
        if host.median_loader_s:
            more += f"; {ms(host.median_loader_s)} ms of it wait for data"
        if host.median_waits:
            more += f"; it waits for the card {host.median_waits:g} times"
        rows.append(("this host", ms(host.median_s), more))
    if found.tokens_per_second is not None:
        rows.append(("tokens/s", f"{found.tokens_per_second:,.0f}", "of the tokens that a step trains on"))
    rows.append(("MFU", f"{found.mfu_exact:.1%}", "exact operations of the dense peak"))
    if found.mfu_palm is not None:
        more = "PaLM's count, which takes the whole square of attention"
        rows.append(("MFU (PaLM)", f"{found.mfu_palm:.1%}", more))
    return rows


def _kinds(found: StepTime) -> Table:
    rows = [
        {
            "kernels": each.kind.value,
            "ms": ms(each.seconds),
            "of the card's": f"{each.share:.0%}",
            "launches": f"{each.launches:,}",
        }
        for each in found.kinds
        if each.seconds
    ]
    return table(rows, whole=["kernels"])
