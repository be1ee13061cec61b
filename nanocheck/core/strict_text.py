"""JSON and TOML as values that are safe to work on, whoever wrote the text. Only the standard library.

No NaN, no number beyond 64 bits, no key twice in one object, no nesting without end: so nobody who reads such
a value needs to fear that printing it, adding it up or walking through it fails.
"""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any, NoReturn

#: Objects and lists within each other; a result nests ten deep.
DEEPEST = 64
#: What signed and unsigned integers of 64 bits hold together.
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


class DuplicateKeyError(ValueError):
    """A key stands twice in one object of JSON."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"key {key!r} is duplicated")


def parse_json(text: str | bytes, *, most: int = _MOST) -> Any:
    """The value of a strict JSON text.

    Args:
        most: a tighter bound for integers, on both sides of 0.

    Raises:
        ValueError: it is none, is nested too deeply, or has an integer beyond 64 bits or ``most``.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _refuse_extremes(value, max(_LEAST, -most), most)
    return value


def parse_toml(data: bytes) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is none or not UTF-8, is nested too deeply, or has an integer beyond 64 bits.
    """
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _refuse_extremes(tables)
    return tables


def _refuse_extremes(value: Any, least: int = _LEAST, most: int = _MOST) -> None:
    """Level by level: recursion would end where nesting is what is wrong."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
            elif type(each) is int and not least <= each <= most:
                raise ValueError(f"an integer beyond {'64 bits' if most == _MOST else most}")
        if not below:
            return
        level = below
    raise ValueError("nested too deeply")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise DuplicateKeyError(key)
        if not key.isascii():
            key.encode()  # half of a character, as an escape can say it: a ValueError, too
        result[key] = value
    return result


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
