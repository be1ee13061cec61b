"""Bytes and counts in, words out. In nanocheck a size is an ``int`` of bytes; MiB and GiB are binary."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from nanocheck.core.errors import RequestError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
#: More than all cards of the world have, and still exact where a double or C counts it.
MOST_BYTES = 1 << 53

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|KiB|MiB|GiB|K|M|G|KB|MB|GB)?\s*", re.IGNORECASE)
_FACTOR = {"": 1, "b": 1, "kib": KIB, "k": KIB, "mib": MIB, "m": MIB, "gib": GIB, "g": GIB}
_COUNTS = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
_DECIMAL = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def parse_size(text: str) -> int:
    """Bytes meant by ``2GiB``, ``2450 MiB``, ``1.5G`` or a plain count; ``GB`` is decimal.

    Raises:
        RequestError: the text is not a size, or larger than ``MOST_BYTES``.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise RequestError(
            f"expected a size such as 2GiB or 2450MiB, found {text!r:.80}",
            hint="write a number and one of B, KiB, MiB, GiB",
        )
    unit = (match.group(2) or "").lower()
    size = float(match.group(1)) * {**_FACTOR, **_DECIMAL}[unit]
    if not size <= MOST_BYTES:
        raise RequestError(
            f"expected a size of at most {MOST_BYTES // GIB} GiB, found {text!r:.80}",
            hint="write a size that a card can have, such as 2GiB",
        )
    return round(size)


def parse_size_of(option: str, text: str) -> int:
    """``parse_size`` for an option, which an error names.

    Raises:
        RequestError: see ``parse_size``.
    """
    try:
        return parse_size(text)
    except RequestError as error:
        raise RequestError(f"{option}: {error.problem}", hint=error.hint) from error


def parse_count(option: str, text: str) -> float:
    """A number above 0 meant by ``38e9``, ``38B``, ``1.5T`` or ``37_580_963_840``.

    Raises:
        RequestError: it is none; ``option`` is named in it.
    """
    digits = text.strip()
    factor = _COUNTS.get(digits[-1:].upper(), 1.0)
    try:
        found = float(digits[:-1] if factor != 1.0 else digits) * factor
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise RequestError(
            f"{option}: expected a number above 0 such as 38e9 or 38B, found {text!r:.80}",
            hint="write digits, and K, M, B or T behind them for thousands to trillions",
        )
    return found


def mib(size_bytes: int) -> str:
    """``9534.66``-style MiB, with a thousands separator and without a unit."""
    return f"{size_bytes / MIB:,.2f}"


def mib_span(least_bytes: int, most_bytes: int) -> str:
    """``178.00 to 288.00``, see ``span``."""
    return span(mib(least_bytes), mib(most_bytes))


def span(least: str, most: str) -> str:
    """``178 to 288``, or one of them where they are equal."""
    return least if least == most else f"{least} to {most}"


def gib(size_bytes: int) -> str:
    """``11.60 GiB``."""
    return f"{size_bytes / GIB:.2f} GiB"


def count_summary(noun: str, counts: Mapping[str, int]) -> str:
    """``18 claims: 2 confirmed, 15 refuted, 1 cannot tell``, without zeros."""
    number = sum(counts.values())
    parts = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{number} {noun if number == 1 else noun + 's'}" + (f": {parts}" if parts else "")
