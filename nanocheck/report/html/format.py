"""Numbers and names as a reader wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nanocheck.core.units import GIB, KIB, MIB, mib

#: What stands where nothing is known.
NONE = "\N{EM DASH}"


def size(size_bytes: int) -> str:
    """A size with the unit that suits it: ``9.30 GiB``, ``512.00 MiB``, ``2.00 KiB``, ``12 B``."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(size_bytes) >= unit:
            return f"{size_bytes / unit:,.2f} {name}"
    return f"{size_bytes} B"


def cell(size_bytes: int) -> str:
    """MiB for a column of them; what would round to nothing says that it is more."""
    return "<0.01" if 0 < size_bytes < MIB / 200 else mib(size_bytes)


def share(part: int, whole: int) -> str:
    """``12.3 %``; nothing of nothing is 0 %."""
    if not part or whole <= 0:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1 %"
    return "100 %" if part == whole else f"{min(percent, 99.9):.1f} %"


def shape(sizes: Sequence[int] | None) -> str:
    """``16 × 1024 × 50304``."""
    if sizes is None:
        return NONE
    return " × ".join(map(str, sizes)) if sizes else "a scalar"


def moment(holder: Mapping[str, Any]) -> str:
    """``backward, step 1``: where in the run something happened; a script's start belongs to no step."""
    phase, step = holder.get("phase"), holder.get("step")
    if phase is None or phase == "build" or step is None:
        return str(phase or NONE)
    return f"{phase}, step {step}"


def plural(number: int, word: str, words: str | None = None) -> str:
    """``1 retry``, ``2 retries``."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"
