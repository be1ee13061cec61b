"""How long a step would take, as a terminal shows it: modelled, beside what was measured of this host."""

from __future__ import annotations

from nanocheck.core.host_time import HostTime
from nanocheck.core.result import RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.report.blocks import Block, prose
from nanocheck.report.terminal_table import Table, table


def time_blocks(result: RunResult, found: StepTime | None) -> list[Block]:
    """Of ``--time``; where there is no estimate, why."""
    host = result.main.host_time
    if found is None:
        return [prose(f"no time: {_why_not(host)}")]
    speed = "" if found.tokens_per_second is None else f", {found.tokens_per_second:,.0f} tokens/s,"
    said = f"MODELLED: {_ms(found.seconds)} ms a step{speed} on {result.device.name}{_span(found)}"
    why = None if result.main.kernels is None else result.main.kernels.no_tokens
    return [
        prose(f"{said}. {found.bottleneck}"),
        _figures(found, host),
        _kinds(found),
        *([prose(f"note: no tokens/s: {why}")] if why else []),
        *([prose(f"note: no interval: {found.no_interval}")] if found.no_interval else []),
        prose("note: no such card was timed; docs/time.md says how far the model was off where somebody did"),
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}"


def _span(found: StepTime) -> str:
    if found.interval is None:
        return ""
    span = f"{_ms(found.interval.low)} to {_ms(found.interval.high)}"
    return f", {found.interval.level:.0%} of real steps within {span}"


def _why_not(host: HostTime | None) -> str:
    if host is None:
        return "memory was not known while the script ran, or it ended before a further step"
    return "no step was recorded: something compiled in each that was tried, or the script ended"


def _figures(found: StepTime, host: HostTime | None) -> Table:
    rows = [
        ("the card alone", _ms(found.card_seconds), "if launches never keep it waiting"),
        ("floor", _ms(found.floor), "exact operations at the data sheet's peak, or bytes at its bandwidth"),
    ]
    if host is not None and host.median_s is not None:
        more = f"measured: {len(host.seconds)} steps of this machine, without the driver's own share"
        if host.median_loader_s:
            more += f"; {_ms(host.median_loader_s)} ms of it wait for data"
        if host.median_waits:
            more += f"; it waits for the card {host.median_waits:g} times"
        rows.append(("this host", _ms(host.median_s), more))
    shown = [{"what": what, "ms": ms, "more": more} for what, ms, more in rows]
    shown.append(
        {"what": "MFU", "ms": f"{found.mfu_exact:.1%}", "more": "exact operations of the dense peak"}
    )
    if found.mfu_palm is not None:
        more = "PaLM's count, which takes the whole square of attention"
        shown.append({"what": "MFU (PaLM)", "ms": f"{found.mfu_palm:.1%}", "more": more})
    return table(shown, whole=["what"], left=["more"], header=False)


def _kinds(found: StepTime) -> Table:
    rows = [
        {
            "kernels": each.kind.value,
            "ms": _ms(each.seconds),
            "of the card's": f"{each.share:.0%}",
            "launches": f"{each.launches:,}",
        }
        for each in found.kinds
        if each.seconds
    ]
    return table(rows, whole=["kernels"])
