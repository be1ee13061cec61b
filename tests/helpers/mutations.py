"""Files that were right once: changed bytes, missing ends, and values that nobody expects at their place.

``mutate(text, seed)`` is the same for the same seed, so a finding is repeated by its number.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

#: What may stand in JSON, or in something like it, in the place of another value; as it is written there.
HUGE = ("1" + "0" * 400, "1" + "0" * 5000, "-" + "9" * 40, "18446744073709551616", "1e999", "-1e308", "1e308")
ODD_NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "0", "-0", "-1", "0.5", "-0.0", "1e-320", "1e200", "-1e-9"),
    *("9223372036854775807", "1000000000"),
)
TEXTS = (
    '""',
    '"x"',
    '"' + "y" * 3000 + '"',
    '"\\ud800"',
    '"\\u0000"',
    '"\\u202e\\u001b[31m\\n::warning::x"',
    '"1e400"',
    '"nan"',
    '"../../etc/passwd"',
)
OTHERS = ("null", "true", "false", "[]", "{}", "[null]", '{"a": {}}', "[" * 70 + "]" * 70, '{"": ""}')
DEEP = ("[" * 100_000 + "]" * 100_000, '{"a":' * 2_000 + "1" + "}" * 2_000)
VALUES = (*HUGE, *ODD_NUMBERS, *TEXTS, *OTHERS)
#: The same for TOML, whose hexadecimal numbers have no limit of digits.
TOML_VALUES = (
    *HUGE,
    *("nan", "inf", "-inf", "0", "-1", "0.5", "9223372036854775808", "0x" + "f" * 5000, "true"),
    *(
        '""',
        '"x"',
        "'" + "y" * 3000 + "'",
        '"\\u0000"',
        '"""\n::warning::x"""',
        "[]",
        "[[]]",
        "{}",
        "{a = 1}",
    ),
    *("1979-05-27T07:32:00Z", "07:32:00", '["bf16", 3, []]'),
    *("[" * 70 + "]" * 70, "{a." + "b." * 70 + "c = 1}", "[" * 5000, "{" + "a=" * 900),
)
_MARK = "@@{}@@"


def mutate(text: bytes, seed: int) -> bytes:
    """A changed file of JSON, of JSON lines or of TOML: by its bytes, its lines, or its values."""
    chance = random.Random(seed)
    ways: list[Callable[[bytes, random.Random], bytes]] = [_bytes, _lines, _values, _values, _values]
    for _ in range(chance.choice((1, 1, 2, 4))):
        text = chance.choice(ways)(text, chance)
    return text


def _bytes(text: bytes, chance: random.Random) -> bytes:
    """Flipped, missing, doubled or foreign bytes."""
    if not text:
        return b"\xff"
    start = chance.randrange(len(text))
    end = min(len(text), start + chance.choice((1, 1, 3, 40, len(text))))
    part = text[start:end]
    way = chance.randrange(5)
    if way == 0:
        flipped = bytes([text[start] ^ (1 << chance.randrange(8))])
        return text[:start] + flipped + text[start + 1 :]
    if way == 1:
        return text[:start]
    if way == 2:
        return text[:start] + text[end:]
    if way == 3:
        return text[:end] + part + text[end:]
    return text[:start] + bytes(chance.randrange(256) for _ in range(4)) + text[start:]


def _lines(text: bytes, chance: random.Random) -> bytes:
    """Lines that are lost, doubled or in another order."""
    lines = text.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    way = chance.randrange(3)
    if way == 0:
        del lines[one]
    elif way == 1:
        lines.insert(other, lines[one])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _values(text: bytes, chance: random.Random) -> bytes:
    """Another value at one place; in JSON also keys that are missing, doubled or unknown."""
    try:
        return _in_json(json.loads(text), chance)
    except (ValueError, RecursionError):
        pass
    lines = text.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        lines[at] = _in_json(json.loads(lines[at]), chance)
    except (ValueError, RecursionError):
        lines[at] = _in_toml(lines[at], chance)
    return b"\n".join(lines)


def _in_json(value: Any, chance: random.Random) -> bytes:
    places = list(_places(value))
    if not places:
        return chance.choice(VALUES).encode()
    holder, key = chance.choice(places)
    raw = chance.choice(_of_its_type(holder[key]) if chance.random() < 0.6 else VALUES)
    if chance.random() < 0.02:
        raw = chance.choice(DEEP)
    way = chance.randrange(10) if isinstance(holder, dict) else 9
    doubled = None
    if way == 0:
        del holder[key]
    elif way == 1:
        holder[f"{key}x"] = holder.pop(key)
    elif way == 2:
        doubled = key
        holder[_MARK.format("key")] = _MARK.format("value")
    elif way == 3 and len(places) > 1:
        other, there = chance.choice(places)
        try:
            holder[key], other[there] = other[there], holder[key]
            json.dumps(value)
        except (ValueError, KeyError, IndexError, TypeError):  # one was inside the other
            return raw.encode()
    else:
        holder[key] = _MARK.format("value")
    found = json.dumps(value).replace(f'"{_MARK.format("value")}"', raw)
    if doubled is not None:
        found = found.replace(f'"{_MARK.format("key")}"', json.dumps(doubled))
    return found.encode()


def _of_its_type(value: Any) -> tuple[str, ...]:
    """Values that come through a check of types alone."""
    if isinstance(value, bool) or value is None:
        return ("true", "false", "null")
    if isinstance(value, int):
        return ("0", "-1", "1", "9223372036854775807", "-9223372036854775808", "1000000000", str(value + 1))
    if isinstance(value, float):
        return ("0.0", "-1.0", "1e308", "-1e308", "1e-320", "0", "1e100", repr(value * 2))
    if isinstance(value, str):
        return (*TEXTS, json.dumps(value * 2), json.dumps(value[:-1]))
    if isinstance(value, list):
        return ("[]", json.dumps(value[1:]), json.dumps(value * 2), json.dumps(value[::-1]))
    return ("{}", json.dumps(dict(list(value.items())[1:])))


def _places(value: Any) -> Any:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, (dict, list)):
            for key, below in each.items() if isinstance(each, dict) else enumerate(each):
                yield each, key
                waiting.append(below)


def _in_toml(line: bytes, chance: random.Random) -> bytes:
    key, equals, _ = line.partition(b"=")
    raw = chance.choice(TOML_VALUES).encode()
    if not equals:
        return chance.choice((b"", line + line, re.sub(rb"[a-z]", b"z", line), b"x = " + raw))
    way = chance.randrange(6)
    if way == 0:
        return line + b"\n" + line
    if way == 1:
        return key.strip() + b"x =" + raw
    return key + b"= " + raw
