"""The TOML files of cards: which keys a table has, and the tables of several files laid over each other.

Read strictly: an unknown key, a figure of the wrong type, or one without a source is refused with its place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocheck.core import usable_memory
from nanocheck.core.errors import RequestError
from nanocheck.core.strict_text import parse_toml

PLATFORMS = ("linux", "windows")

#: Keys of a ``[gpu.<id>]`` table and the type of each; ``_mib`` are binary megabytes.
FIGURES = {
    "name": "card name",
    "capability": "capability",
    "sms": "count",
    "l2_mib": "number",
    "bus_width_bits": "count",
    "bandwidth_gb_s": "number",
    "boost_mhz": "count",
    "memory_mhz": "count",
    "tgp_w": "count",
    "bf16_tflops": "number or none",
    "nominal_mib": "number",
    "linux_usable_mib": "number or computed",
    "windows_usable_mib": "number or computed",
    "linux_usable_most_mib": "number or computed",
    "windows_usable_most_mib": "number or computed",
    "context_mib": "number",
    "host": "host",
}
#: The figures that one source, under the word ``specification``, may cover.
SPECIFICATION = (*tuple(FIGURES)[:9], "host")
#: Stands for a figure that ``usable_memory`` predicts, and is marked as predicted wherever it is shown.
COMPUTED = "computed"
HOSTS = ("x86_64", "aarch64")
#: A card may exist on one platform only, so one of these is enough.
#: A reading of one's own may stand in for what ``cuda_context`` computes.
CONTEXT = "context_mib"
HOST = "host"
USABLE = tuple(f"{platform}_usable_mib" for platform in PLATFORMS)
#: The most, where drivers were seen to leave different amounts; ``USABLE`` is the least then.
USABLE_MOST = tuple(f"{platform}_usable_most_mib" for platform in PLATFORMS)
#: Keys of a ``[capability."8.9"]`` table; all are needed.
CAPABILITY_FIGURES = {
    "max_threads_per_sm": "count",
    "max_blocks_per_sm": "count",
    "registers_per_sm": "count",
    "shared_per_sm_kib": "count",
    "shared_per_block_kib": "count",
    "shared_per_block_optin_kib": "count",
    "source": "text",
}
EXPECTED = {
    "text": "text that is not empty",
    "card name": "one printable line of less than 128 bytes",
    "capability": 'text such as "8.9"',
    "count": "a whole number of at least 1",
    "number": "a number above 0",
    "number or none": 'a number above 0, or "none" where the card has no such unit',
    "number or computed": 'a number above 0, or "computed"',
    "host": f"one of {', '.join(HOSTS)}",
}


@dataclass
class CardTable:
    """A card while files are being read: figures and sources so far, and the last file to touch it."""

    figures: dict[str, Any]
    sources: dict[str, str]
    file: Path

    def copy(self) -> CardTable:
        """One that further files may change."""
        return CardTable(dict(self.figures), dict(self.sources), self.file)


def card_key(card_id: str) -> str:
    """What two spellings of one id have in common."""
    return re.sub(r"[\s_-]+", "", card_id).lower()


def read_tables(file: Path, cards: dict[str, CardTable], capabilities: dict[str, dict[str, Any]]) -> None:
    """Add one file's tables to what was read before."""
    try:
        data = parse_toml(file.read_bytes())
    except OSError as error:
        raise RequestError(
            f"{file}: expected a readable catalog file, found: {error.strerror or error}",
            hint="correct the path or its permissions",
        ) from error
    except ValueError as error:
        raise RequestError(
            f"{file}: expected TOML in UTF-8, found: {error!s:.400}", hint=f"correct {file} at that place"
        ) from error
    _only(file, "the top level", data, ("gpu", "capability"))
    for name, table in _tables(file, "capability", data).items():
        where = f'[capability."{name}"]'
        _only(file, where, table, tuple(CAPABILITY_FIGURES))
        _check(file, where, "(its name)", "capability", name)
        for key, kind in CAPABILITY_FIGURES.items():
            _check(file, where, key, kind, table.get(key))
        capabilities[name] = table
    known = {card_key(card_id): card_id for card_id in cards}
    here: dict[str, str] = {}
    for name, table in _tables(file, "gpu", data).items():
        where = f"[gpu.{name}]"
        if (twin := here.setdefault(card_key(name), name)) != name:
            raise wrong(file, where, "(its id)", "one table a card", f"[gpu.{twin}] too")
        if not re.fullmatch(r"[a-z0-9]([\w. -]*[a-z0-9])?", name, re.IGNORECASE | re.ASCII):
            raise wrong(file, where, "(its id)", "letters, digits and dashes", name)
        card_id = known.get(card_key(name), re.sub(r"[\s_]+", "-", name).lower())
        card = cards.setdefault(card_id, CardTable({}, {}, file))
        card.file = file
        _merge(card, where, table)


def _merge(card: CardTable, where: str, table: dict[str, Any]) -> None:
    """Lay one ``[gpu.<id>]`` table over the card; a figure that changes loses its former source."""
    _only(card.file, where, table, (*FIGURES, "sources"))
    sources = table.get("sources", {})
    in_sources = where[:-1] + ".sources]"
    if not isinstance(sources, dict):
        raise wrong(card.file, where, "sources", f"a table {in_sources}", sources)
    _only(card.file, in_sources, sources, (*FIGURES, "specification"))
    for key, source in sources.items():
        _check(card.file, in_sources, key, "text", source)
    for key in table.keys() & FIGURES.keys():
        _check(card.file, where, key, FIGURES[key], table[key])
        if key in USABLE:  # the former span does not hold for a new reading
            most = key.replace("usable", "usable_most")
            card.figures.pop(most, None)
            card.sources.pop(most, None)
    for key in table.keys() & FIGURES.keys():
        card.figures[key] = table[key]
        card.sources.pop(key, None)
        if table[key] == COMPUTED and FIGURES[key] == "number or computed":
            card.sources[key] = usable_memory.SOURCE[key.partition("_")[0]]
            continue
        source = sources.get(key) or (key in SPECIFICATION and sources.get("specification"))
        if not source:
            raise RequestError(
                f"{card.file}: {in_sources}: expected the source of {key}, found none",
                hint=f'write {key} = "where the figure was published" under {in_sources}',
            )
        card.sources[key] = source
    for key in sources:
        if key != "specification" and key not in card.figures:
            raise wrong(card.file, where, key, "the figure that has a source there", None)
    card.sources.update({key: source for key, source in sources.items() if key in card.figures})


def _tables(file: Path, kind: str, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables of one kind, ``gpu`` or ``capability``."""
    tables = data.get(kind, {})
    if not isinstance(tables, dict):
        raise wrong(file, "the top level", kind, f"tables [{kind}.<name>]", tables)
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise wrong(file, f"[{kind}]", name, f"a table [{kind}.{name}]", table)
    return tables


def _only(file: Path, where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise RequestError(
                f"{file}: {where}: unknown key {key!r}",
                hint=f"write {close[0]}" if close else f"use these keys: {', '.join(known)}",
            )


def _check(file: Path, where: str, key: str, kind: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**9
    right = {
        "text": isinstance(value, str) and bool(value.strip()),
        "card name": _is_card_name(value),
        "capability": isinstance(value, str) and re.fullmatch(r"[1-9][0-9]?\.[0-9]", value) is not None,
        "count": number and isinstance(value, int),
        "number": number,
        "number or none": value == "none" or number,
        "number or computed": value == COMPUTED or number,
        "host": value in HOSTS,
    }
    if not right[kind]:
        raise wrong(file, where, key, EXPECTED[kind], value)


def _is_card_name(value: Any) -> bool:
    """Whether it is a name to the virtual GPU, which keeps 127 bytes of it and takes a further line for
    another figure of the card.
    """
    text = value if isinstance(value, str) else ""
    return bool(text.strip()) and text.isprintable() and len(text.encode()) < 128


def wrong(file: Path, where: str, key: str, expected: str, found: Any) -> RequestError:
    return RequestError(
        f"{file}: {where}: {key}: expected {expected}, "
        f"found {'nothing' if found is None else format(repr(found), '.200')}",
        hint=f"write {key} as {expected} under {where} in {file}",
    )
