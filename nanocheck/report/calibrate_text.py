"""A calibration as a terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.calibration import CalibrationFile, Measurement
from nanocheck.report.blocks import Block, Words, prose, stack, verbatim, words
from nanocheck.report.terminal_table import table

REHEARSAL = (
    "A rehearsal: the virtual card stood in, which computes nothing. Nothing was measured, and the file has "
    "no seconds."
)


def render(file: CalibrationFile, paths: Sequence[str]) -> list[Block]:
    """The table, what was refused and why, and where the file is."""
    state = "rehearsed on the virtual card" if file.is_rehearsal else "measured"
    rows = [_cells(each) for each in file.measurements]
    blocks: list[Block] = [
        prose(f"{file.card.name}: {state}, torch {file.environment.torch}, {_power(file)}"),
        table(rows, whole=["measurement"]),
    ]
    refused = [] if file.is_rehearsal else [each for each in file.measurements if each.refused]
    if refused:
        lines = (
            prose(words(each.id, style="bold"), f": not used: {each.refused}", hanging=2) for each in refused
        )
        blocks.append(stack(*lines))
    closing: list[Block] = [prose(words(headline(file), style="bold"))]
    if file.is_rehearsal:
        closing.append(prose(words(REHEARSAL, style="bold yellow")))
    return [*blocks, stack(*closing, *(verbatim(each, indent=2) for each in paths))]


def headline(file: CalibrationFile) -> str:
    """How much of it counts."""
    count = len(file.measurements)
    if file.is_rehearsal:
        tried = sum(each.refused.startswith("rehearsal") for each in file.measurements)
        return f"{tried} of {count} measurements rehearsed."
    if file.others:
        return f"Nothing counts: {file.others} on the card at the end."
    return f"{len(file.measured())} of {count} measurements count."


def _power(file: CalibrationFile) -> str:
    limit = file.card.power_limit_w
    return "power limit not known" if limit is None else f"power limit {limit:g} W"


def _cells(each: Measurement) -> dict[str, Words]:
    timing, load = each.timing, each.load

    def of(value: float | None, form: str = ".1f") -> str:
        return "" if value is None else format(value, form)

    return {
        "measurement": each.id,
        "us": "" if timing is None else f"{timing.seconds.median_s * 1e6:,.1f}",
        "spread %": "" if timing is None else of(100 * timing.seconds.spread),
        "TFLOPS": of(each.tflops),
        "GB/s": of(each.gb_s, ",.0f"),
        "W": of(None if load is None else load.power_w, ".0f"),
        "MHz": of(None if load is None else load.sm_mhz, ".0f"),
    }
