"""JSON as the standard has it: no NaN, no number beyond range, no key twice in one object."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no strict JSON, or nested too deeply.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"the field {', '.join(twice)} twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is no finite number")
    return value
