"""Numbers and names as a reader wants them. The templates' filters."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Protocol

from nanocheck.core import units
from nanocheck.core.units import GIB, KIB, MIB

#: What stands where nothing is known.
NONE = "\N{EM DASH}"


class InRun(Protocol):
    """Anything that happened in a phase of an optimizer step."""

    @property
    def phase(self) -> str | None: ...

    @property
    def step(self) -> int: ...


def size(size_bytes: int) -> str:
    """A size with the unit that suits it: ``9.30 GiB``, ``512.00 MiB``, ``2.00 KiB``, ``12 B``."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(size_bytes) >= unit:
            return f"{size_bytes / unit:,.2f} {name}"
    return f"{size_bytes} B"


def mib(size_bytes: int) -> str:
    """MiB without the unit, for a column of them; what would round to nothing says that it is more."""
    return "<0.01" if 0 < size_bytes < MIB / 200 else units.mib(size_bytes)


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


def moment(event: InRun) -> str:
    """``backward, step 1``: where in the run something happened; a script's start belongs to no step."""
    if event.phase is None or event.phase == "build":
        return event.phase or NONE
    return f"{event.phase}, step {event.step}"


def number(count: int) -> str:
    """``50,304``."""
    return f"{count:,}"


def number_or_dash(count: int | None) -> str:
    """A number of things in a table; a dash where there are none or nobody knows."""
    return number(count) if count else NONE


def plural(count: int, word: str, words: str | None = None) -> str:
    """``1 retry``, ``2 retries``."""
    return f"{count:,} {word if count == 1 else words or word + 's'}"


def shell(command: Iterable[str]) -> str:
    """A command as one types it."""
    return shlex.join(command)


def percent(fraction: float) -> str:
    """``12.34%``: a position or length in a picture."""
    return f"{100 * fraction:.3f}".rstrip("0").rstrip(".") + "%"


def part_of(part: int, whole: int) -> float:
    """The fraction that a bar is filled to, 0 to 1."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0
