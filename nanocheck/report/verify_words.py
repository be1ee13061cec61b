"""A verification in words: what the terminal, the page and the documentation's table say alike."""

from __future__ import annotations

from nanocheck.core.units import mib, mib_span
from nanocheck.verify.comparison import Difference
from nanocheck.verify.record import Row, State, VerifyFile
from nanocheck.verify.step_time import StepTime

#: Figures that are no bytes.
_COUNTS = ("retries", "multiprocessors", "threads per multiprocessor")
#: What stands for a figure that a side could not see.
UNSEEN = "\N{EM DASH}"
STAND_IN = (
    "The virtual card stood in for the real one: both columns are virtual, and nothing is verified. This "
    "shows what a verification looks like."
)

OWN_DESCRIPTION = (
    "The catalog does not hold this card: its virtual twin was made from the card's own description, so "
    "usable memory and description agree by construction."
)


def real_word(file: VerifyFile) -> str:
    """What the real card's columns are called: what ran there."""
    return "standing in" if file.stand_in else "measured"


def headline(file: VerifyFile) -> str:
    """One sentence for all cases."""
    counts = file.counts
    compared = counts[State.EQUAL] + counts[State.DIFFERS]
    if not compared:
        return "Nothing could be compared."
    if not counts[State.DIFFERS]:
        if compared == len(file.rows):
            return f"All {compared} cases are equal to the byte."
        return f"{compared} of {len(file.rows)} cases could be compared: all are equal to the byte."
    return f"{counts[State.EQUAL]} of {compared} cases are equal to the byte, {counts[State.DIFFERS]} not."


def size(size_bytes: int | None) -> str:
    """MiB, or that nobody saw it."""
    return UNSEEN if size_bytes is None else mib(size_bytes)


def difference(found: Difference, real: str) -> str:
    """``backward reserved: measured 3,120.00 MiB, virtual 3,118.00 MiB (-2,097,152 bytes)``.

    Args:
        real: see ``real_word``.
    """
    one, other = _value(found.figure, found.real), _value(found.figure, found.virtual)
    if found.virtual_most is not None and isinstance(found.virtual, int):
        other = f"{mib_span(found.virtual, found.virtual_most)} MiB"
    by = found.by
    by_words = ""
    if by is not None:
        unit = "" if found.figure in _COUNTS else " bytes"
        outside = " outside" if found.virtual_most is not None else ""
        by_words = f" ({by:+,}{unit}{outside})"
    return f"{found.figure}: {real} {one}, virtual {other}{by_words}"


def _value(figure: str, value: int | str | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return f"{value:,}" if figure in _COUNTS else f"{mib(value)} MiB"


def context(file: VerifyFile) -> str:
    """What CUDA itself took, over all cases that ended, beside what the catalog says."""
    predicted = f"{mib_span(file.context_least_bytes, file.context_most_bytes)} MiB"
    found = [row.real.context_bytes for row in file.rows if row.real and row.real.context_bytes is not None]
    if not found:
        return f"virtual {predicted}; nobody measured it"
    return f"{real_word(file)} {mib_span(min(found), max(found))} MiB, virtual {predicted}"


def step_time(row: Row) -> str:
    """How long a step takes on the real card, with its spread, and by the model; empty where nobody asked."""
    found = row.time
    if found is None:
        return ""
    if found.seconds is None:
        return f"a step was not timed: {found.refused}{_modelled(found)}"
    seconds = found.seconds
    power = "" if found.load is None or found.load.power_w is None else f", {found.load.power_w:.0f} W"
    refused = f"; does not count: {found.refused}" if found.refused else ""
    return (
        f"a step takes {1e3 * seconds.median_s:.2f} ms, measured ({1e3 * seconds.lower_s:.2f} to "
        f"{1e3 * seconds.upper_s:.2f} of {seconds.samples} steps{power}){refused}{_modelled(found)}"
    )


def _modelled(found: StepTime) -> str:
    modelled = found.modelled
    if modelled is None:
        return ""
    off = "" if found.off is None else f" ({found.off:+.1%})"
    span = ""
    if modelled.low_s is not None and modelled.high_s is not None:
        span = f", 80 % within {1e3 * modelled.low_s:.2f} to {1e3 * modelled.high_s:.2f}"
    return f"; modelled {1e3 * modelled.seconds:.2f} ms{off}{span}, the {modelled.decided_by} decides"


def remark(row: Row, file: VerifyFile) -> list[str]:
    """What a row's figures do not say: each difference, why it was not run, why there is no answer."""
    said = [difference(each, real_word(file)) for each in row.differences]
    if row.not_run:
        said.append(f"not run, {row.not_run}")
    for side, name in ((row.real, real_word(file)), (row.virtual, "virtual")):
        if side is not None and not side.is_answer:
            said.append(f"{name}: {side.outcome.value}" + (f": {side.detail}" if side.detail else ""))
    return said


def worst_sentence(file: VerifyFile) -> str:
    """How far the peaks are apart at the most."""
    allocated, reserved = worst(file, "allocated"), worst(file, "reserved")
    if allocated == UNSEEN:
        return "No peak could be compared."
    if (allocated, reserved) == ("0", "0"):
        return "No peak of any case differs by a byte."
    return f"Peaks differ at the most by {allocated} of what is allocated, {reserved} of what is reserved."


def worst(file: VerifyFile, figure: str) -> str:
    """The largest relative difference of ``allocated`` or ``reserved`` peaks over all cases."""
    found = [
        abs(getattr(row.virtual, f"{figure}_bytes") / getattr(row.real, f"{figure}_bytes") - 1)
        for row in file.rows
        if row.real and row.virtual and row.real.is_answer and row.virtual.is_answer
        if getattr(row.real, f"{figure}_bytes")
    ]
    if not found:
        return UNSEEN
    return "0" if max(found) == 0 else f"{max(found):.4%}"
