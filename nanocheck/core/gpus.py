"""The catalog of GPUs: what a card is, where each figure comes from, and how to find one.

The figures live in ``gpus.toml`` and ``gpus-datacentre.toml`` beside this file. Adding a card is adding
a table there, or in a TOML file of your own: a ``[gpu.<id>]`` table of a new id adds a card, one of a
known id overrides the figures it names and keeps the rest. Each figure needs its source in
``[gpu.<id>.sources]``; the word ``specification`` there stands for all the figures of a vendor's data
sheet (``SPECIFICATION``). ``[capability."<major>.<minor>"]`` holds what follows from the compute
capability alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocheck.core import cuda_context
from nanocheck.core.cuda_context import context_range
from nanocheck.core.errors import RequestError
from nanocheck.core.strict_text import parse_toml
from nanocheck.core.units import KIB, MIB

CATALOG = tuple(Path(__file__).with_name(name) for name in ("gpus.toml", "gpus-datacentre.toml"))
DEFAULT_GPU = "rtx4070"
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
    "linux_usable_mib": "number",
    "windows_usable_mib": "number",
    "linux_usable_most_mib": "number",
    "windows_usable_most_mib": "number",
    "context_mib": "number",
}
#: The figures that one source, under the word ``specification``, may cover.
SPECIFICATION = tuple(FIGURES)[:9]
#: A card may exist on one platform only, so one of these is enough.
#: A reading of one's own may stand in for what ``cuda_context`` computes.
_CONTEXT = "context_mib"
_USABLE = tuple(f"{platform}_usable_mib" for platform in PLATFORMS)
#: The most, where drivers were seen to leave different amounts; ``_USABLE`` is the least then.
_USABLE_MOST = tuple(f"{platform}_usable_most_mib" for platform in PLATFORMS)
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
_EXPECTED = {
    "text": "text that is not empty",
    "card name": "one printable line of less than 128 bytes",
    "capability": 'text such as "8.9"',
    "count": "a whole number of at least 1",
    "number": "a number above 0",
    "number or none": 'a number above 0, or "none" where the card has no such unit',
}


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One card of the catalog.

    Attributes:
        id: what ``--gpu`` takes, such as ``rtx4070-laptop``.
        name: exactly as ``torch.cuda.get_device_name()`` prints it on the real card.
        capability: (major, minor); sms: streaming multiprocessors that are switched on.
        max_threads_per_sm, max_blocks_per_sm, registers_per_sm (32-bit): limits of the capability.
        shared_per_block_bytes: without opting in; shared_per_block_optin_bytes: with;
            shared_per_sm_bytes: of the whole SM.
        l2_bytes: as the driver reports it. bus_width_bits: of the memory.
        bandwidth_gb_s: of the memory, in 10^9 bytes a second.
        boost_mhz: rated boost clock. memory_mhz: as ``nvidia-smi`` shows it; two transfers a clock.
        bf16_tflops: dense, accumulated in fp32, tensor cores; None where there is no bf16 unit.
        tgp_w: rated board power, in watts.
        nominal_bytes: what ``nvidia-smi`` shows as total.
        usable_bytes, usable_most_bytes: platform -> what torch shows as ``total_memory``, the least and the
            most of what drivers were seen to leave; equal where there is one reading. See ``PLATFORMS``; a
            platform for which nobody published a figure is absent.
        context_bytes, context_most_bytes: the least and the most that the CUDA context and loaded modules
            take, outside the allocator, once a step has run; equal where one reading is stated.
        sources: where each figure comes from, under its name in ``gpus.toml``; a capability's under
            its own figure names.
    """

    id: str
    name: str
    capability: tuple[int, int]
    sms: int
    max_threads_per_sm: int
    max_blocks_per_sm: int
    registers_per_sm: int
    shared_per_block_bytes: int
    shared_per_block_optin_bytes: int
    shared_per_sm_bytes: int
    l2_bytes: int
    bus_width_bits: int
    bandwidth_gb_s: float
    boost_mhz: int
    memory_mhz: int
    bf16_tflops: float | None
    tgp_w: int
    nominal_bytes: int
    usable_bytes: Mapping[str, int]
    usable_most_bytes: Mapping[str, int]
    context_bytes: int
    context_most_bytes: int
    sources: Mapping[str, str]


@dataclass
class _Card:
    """A card while files are being read: figures and sources so far, and the last file to touch it."""

    figures: dict[str, Any]
    sources: dict[str, str]
    file: Path


def load_catalog(extra: Sequence[Path] = ()) -> dict[str, Gpu]:
    """Every card by id: the packaged catalog, then the user's files in their order.

    Raises:
        RequestError: a file is unreadable or no TOML, a key is unknown, a figure or its source is
            missing or of the wrong type, or the figures contradict each other. The message names
            file, table and key.
    """
    cards: dict[str, _Card] = {}
    capabilities: dict[str, dict[str, Any]] = {}
    for file in (*CATALOG, *extra):
        _read(file, cards, capabilities)
    return {card_id: _gpu(card_id, card, capabilities) for card_id, card in cards.items()}


def find_gpu(gpu_id: str, extra: Sequence[Path] = ()) -> Gpu:
    """The card of that id; upper case, spaces, underscores and dashes make no difference.

    Raises:
        RequestError: no such card (close matches are named), or a catalog file is wrong.
    """
    catalog = load_catalog(extra)
    by_key = {_key(card_id): gpu for card_id, gpu in catalog.items()}
    if _key(gpu_id) in by_key:
        return by_key[_key(gpu_id)]
    close = [by_key[key].id for key in difflib.get_close_matches(_key(gpu_id), by_key, n=3)]
    raise RequestError(
        f"expected a GPU of the catalog, found {gpu_id!r}"
        + (f"; close: {', '.join(close)}" if close else ""),
        hint="choose one that `nanocheck gpus` lists, or add a table for the card to a TOML file",
    )


def _key(card_id: str) -> str:
    """What two spellings of one id have in common."""
    return re.sub(r"[\s_-]+", "", card_id).lower()


def _read(file: Path, cards: dict[str, _Card], capabilities: dict[str, dict[str, Any]]) -> None:
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
    known = {_key(card_id): card_id for card_id in cards}
    here: dict[str, str] = {}
    for name, table in _tables(file, "gpu", data).items():
        where = f"[gpu.{name}]"
        if (twin := here.setdefault(_key(name), name)) != name:
            raise _wrong(file, where, "(its id)", "one table a card", f"[gpu.{twin}] too")
        if not re.fullmatch(r"[a-z0-9]([\w. -]*[a-z0-9])?", name, re.IGNORECASE | re.ASCII):
            raise _wrong(file, where, "(its id)", "letters, digits and dashes", name)
        card_id = known.get(_key(name), re.sub(r"[\s_]+", "-", name).lower())
        card = cards.setdefault(card_id, _Card({}, {}, file))
        card.file = file
        _merge(card, where, table)


def _merge(card: _Card, where: str, table: dict[str, Any]) -> None:
    """Lay one ``[gpu.<id>]`` table over the card; a figure that changes loses its former source."""
    _only(card.file, where, table, (*FIGURES, "sources"))
    sources = table.get("sources", {})
    in_sources = where[:-1] + ".sources]"
    if not isinstance(sources, dict):
        raise _wrong(card.file, where, "sources", f"a table {in_sources}", sources)
    _only(card.file, in_sources, sources, (*FIGURES, "specification"))
    for key, source in sources.items():
        _check(card.file, in_sources, key, "text", source)
    for key in table.keys() & FIGURES.keys():
        _check(card.file, where, key, FIGURES[key], table[key])
        if key in _USABLE:  # the former span does not hold for a new reading
            most = key.replace("usable", "usable_most")
            card.figures.pop(most, None)
            card.sources.pop(most, None)
    for key in table.keys() & FIGURES.keys():
        card.figures[key] = table[key]
        card.sources.pop(key, None)
        source = sources.get(key) or (key in SPECIFICATION and sources.get("specification"))
        if not source:
            raise RequestError(
                f"{card.file}: {in_sources}: expected the source of {key}, found none",
                hint=f'write {key} = "where the figure was published" under {in_sources}',
            )
        card.sources[key] = source
    for key in sources:
        if key != "specification" and key not in card.figures:
            raise _wrong(card.file, where, key, "the figure that has a source there", None)
    card.sources.update({key: source for key, source in sources.items() if key in card.figures})


def _gpu(card_id: str, card: _Card, capabilities: Mapping[str, dict[str, Any]]) -> Gpu:
    """The finished card; here what only shows once all files are read is checked."""
    where, figures = f"[gpu.{card_id}]", card.figures
    for key, kind in FIGURES.items():
        if key not in figures and key not in (*_USABLE, *_USABLE_MOST, _CONTEXT):
            raise _wrong(card.file, where, key, _EXPECTED[kind], None)
    if not any(key in figures for key in _USABLE):
        raise _wrong(card.file, where, " or ".join(_USABLE), _EXPECTED["number"], None)
    if figures["capability"] not in capabilities:
        known = ", ".join(capabilities)
        raise _wrong(card.file, where, "capability", f"one of {known}", figures["capability"])
    limits = capabilities[figures["capability"]]
    nominal = figures["nominal_mib"]
    usable = {
        platform: figures[key] for platform, key in zip(PLATFORMS, _USABLE, strict=True) if key in figures
    }
    for platform, value in usable.items():
        if value > nominal:
            key = f"{platform}_usable_mib"
            raise _wrong(card.file, where, key, f"at most nominal_mib = {nominal}", value)
    usable_most = dict(usable)
    for platform, key, least_key in zip(PLATFORMS, _USABLE_MOST, _USABLE, strict=True):
        if key in figures:
            if not usable.get(platform, nominal + 1) <= figures[key] <= nominal:
                expected = f"at least {least_key} and at most nominal_mib = {nominal}"
                raise _wrong(card.file, where, key, expected, figures[key])
            usable_most[platform] = figures[key]
    least, most = context_range(figures["sms"], limits["max_threads_per_sm"])
    if _CONTEXT in figures:
        least = most = round(figures[_CONTEXT] * MIB)
    if most >= min(usable.values()) * MIB:
        key = _CONTEXT if _CONTEXT in figures else "sms"
        expected = (
            "less than the usable MiB" if _CONTEXT in figures else "so few that CUDA fits into the usable MiB"
        )
        raise _wrong(card.file, where, key, expected, figures[key])
    major, minor = figures["capability"].split(".")
    sources = {key: limits["source"] for key in CAPABILITY_FIGURES if key != "source"}
    sources |= {_CONTEXT: cuda_context.SOURCE} | card.sources
    return Gpu(
        id=card_id,
        name=figures["name"],
        capability=(int(major), int(minor)),
        sms=figures["sms"],
        max_threads_per_sm=limits["max_threads_per_sm"],
        max_blocks_per_sm=limits["max_blocks_per_sm"],
        registers_per_sm=limits["registers_per_sm"],
        shared_per_block_bytes=limits["shared_per_block_kib"] * KIB,
        shared_per_block_optin_bytes=limits["shared_per_block_optin_kib"] * KIB,
        shared_per_sm_bytes=limits["shared_per_sm_kib"] * KIB,
        l2_bytes=round(figures["l2_mib"] * MIB),
        bus_width_bits=figures["bus_width_bits"],
        bandwidth_gb_s=float(figures["bandwidth_gb_s"]),
        boost_mhz=figures["boost_mhz"],
        memory_mhz=figures["memory_mhz"],
        bf16_tflops=None if figures["bf16_tflops"] == "none" else float(figures["bf16_tflops"]),
        tgp_w=figures["tgp_w"],
        nominal_bytes=round(nominal * MIB),
        usable_bytes={platform: round(value * MIB) for platform, value in usable.items()},
        usable_most_bytes={platform: round(value * MIB) for platform, value in usable_most.items()},
        context_bytes=least,
        context_most_bytes=most,
        sources=sources,
    )


def _tables(file: Path, kind: str, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables of one kind, ``gpu`` or ``capability``."""
    tables = data.get(kind, {})
    if not isinstance(tables, dict):
        raise _wrong(file, "the top level", kind, f"tables [{kind}.<name>]", tables)
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise _wrong(file, f"[{kind}]", name, f"a table [{kind}.{name}]", table)
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
    }
    if not right[kind]:
        raise _wrong(file, where, key, _EXPECTED[kind], value)


def _is_card_name(value: Any) -> bool:
    """Whether it is a name to the virtual GPU, which keeps 127 bytes of it and takes a
    further line for another figure of the card.
    """
    text = value if isinstance(value, str) else ""
    return bool(text.strip()) and text.isprintable() and len(text.encode()) < 128


def _wrong(file: Path, where: str, key: str, expected: str, found: Any) -> RequestError:
    return RequestError(
        f"{file}: {where}: {key}: expected {expected}, "
        f"found {'nothing' if found is None else format(repr(found), '.200')}",
        hint=f"write {key} as {expected} under {where} in {file}",
    )
