"""The catalog of GPUs: what a card is, where each figure comes from, and how to find one.

The figures live in the TOML files of ``cards/`` beside this file, one for each series. Adding a card is
adding a table there, or in a TOML file of your own: a ``[gpu.<id>]`` table of a new id adds a card, one of
a known id overrides the figures it names and keeps the rest. Each figure needs its source in
``[gpu.<id>.sources]``; the word ``specification`` there stands for all the figures of a vendor's data
sheet (``SPECIFICATION``). Usable memory may be ``"computed"``: ``usable_memory`` predicts it then.
``[capability."<major>.<minor>"]`` holds what follows from the compute capability alone.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nanocheck.core import cuda_context, usable_memory
from nanocheck.core.card_tables import (
    CAPABILITY_FIGURES,
    COMPUTED,
    CONTEXT,
    EXPECTED,
    FIGURES,
    HOST,
    HOSTS,
    USABLE,
    USABLE_MOST,
    CardTable,
    card_key,
    read_tables,
    wrong,
)
from nanocheck.core.card_tables import PLATFORMS as PLATFORMS
from nanocheck.core.cuda_context import context_range
from nanocheck.core.errors import RequestError
from nanocheck.core.units import KIB, MIB

CATALOG = tuple(
    Path(__file__).with_name("cards") / f"{name}.toml"
    for name in (
        "capabilities",
        *("geforce-20", "geforce-30", "geforce-30-laptop", "geforce-40", "geforce-40-laptop", "geforce-50"),
        *("workstation-turing-ampere", "workstation-ada-blackwell"),
        *("datacentre-volta-ampere", "datacentre-ada-on", "embedded"),
    )
)
DEFAULT_GPU = "rtx4070"
#: In the place of an id.
EVERY_CARD = "all"


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
        host: architecture of the machines that have it; only their builds of PyTorch know the card.
        note: what its user must know, of a card that somebody described (``own_card``).
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
    host: str = HOSTS[0]
    note: str = ""
    sources: Mapping[str, str]

    @property
    def capability_text(self) -> str:
        """Such as ``8.9``."""
        return f"{self.capability[0]}.{self.capability[1]}"

    def computed(self, platform: str) -> str | None:
        """How the usable memory on a platform was predicted; None where both its ends were read."""
        names = (f"{platform}_usable_mib", f"{platform}_usable_most_mib")
        return next(
            (
                self.sources[name]
                for name in names
                if usable_memory.SOURCE[platform] == self.sources.get(name)
            ),
            None,
        )


class CardInWords(Protocol):
    """A card that somebody describes (``described_card``)."""

    def build(self, catalog: Mapping[str, Gpu]) -> Gpu:
        """The card, with what was left out taken from these."""
        ...


#: Where further cards come from.
CardSource = Path | CardInWords


def load_catalog(extra: Sequence[CardSource] = ()) -> dict[str, Gpu]:
    """Every card by id: the packaged catalog, then the user's files in their order, then what was described.

    Raises:
        RequestError: a file is unreadable or no TOML, a key is unknown, a figure or its source is
            missing or of the wrong type, or the figures contradict each other. The message names
            file, table and key.
    """
    found, packaged, limits = _packaged()
    found = dict(found)
    files = [each for each in extra if isinstance(each, Path)]
    if files:
        cards, capabilities = {card_id: card.copy() for card_id, card in packaged.items()}, dict(limits)
        for file in files:
            read_tables(file, cards, capabilities)
        changed = cards if capabilities != limits else [each for each in cards if cards[each].file in files]
        found |= {card_id: _gpu(card_id, cards[card_id], capabilities) for card_id in changed}
    for described in (each for each in extra if not isinstance(each, Path)):
        gpu = described.build(found)
        found[gpu.id] = gpu
    return found


@functools.cache
def _packaged() -> tuple[dict[str, Gpu], dict[str, CardTable], dict[str, dict[str, Any]]]:
    """What ships with nanocheck: the cards, their tables, and the limits of the capabilities."""
    cards: dict[str, CardTable] = {}
    capabilities: dict[str, dict[str, Any]] = {}
    for file in CATALOG:
        read_tables(file, cards, capabilities)
    return (
        {card_id: _gpu(card_id, card, capabilities) for card_id, card in cards.items()},
        cards,
        capabilities,
    )


def find_gpus(ids: Sequence[str], extra: Sequence[CardSource] = ()) -> list[Gpu]:
    """The cards of those ids, each once, as they were named; of ``EVERY_CARD`` alone, the whole catalog.

    Raises:
        RequestError: see ``find_gpu``.
    """
    if list(ids) == [EVERY_CARD]:
        return list(load_catalog(extra).values())
    return list({gpu.id: gpu for gpu in (find_gpu(each, extra) for each in ids)}.values())


def find_gpu(gpu_id: str, extra: Sequence[CardSource] = ()) -> Gpu:
    """The card of that id; upper case, spaces, underscores and dashes make no difference.

    Raises:
        RequestError: no such card (close matches are named), or a catalog file is wrong.
    """
    catalog = load_catalog(extra)
    by_key = {card_key(card_id): gpu for card_id, gpu in catalog.items()}
    if card_key(gpu_id) in by_key:
        return by_key[card_key(gpu_id)]
    close = [by_key[key].id for key in difflib.get_close_matches(card_key(gpu_id), by_key, n=3)]
    raise RequestError(
        f"expected a GPU of the catalog, found {gpu_id!r}"
        + (f"; close: {', '.join(close)}" if close else ""),
        hint="choose one that `nanocheck gpus` lists, or add a table for the card to a TOML file",
    )


def _gpu(card_id: str, card: CardTable, capabilities: Mapping[str, dict[str, Any]]) -> Gpu:
    """The finished card; here what only shows once all files are read is checked."""
    where, figures = f"[gpu.{card_id}]", card.figures
    for key, kind in FIGURES.items():
        if key not in figures and key not in (*USABLE, *USABLE_MOST, CONTEXT, HOST):
            raise wrong(card.file, where, key, EXPECTED[kind], None)
    if not any(key in figures for key in USABLE):
        raise wrong(card.file, where, " or ".join(USABLE), EXPECTED["number"], None)
    if figures["capability"] not in capabilities:
        known = ", ".join(capabilities)
        raise wrong(card.file, where, "capability", f"one of {known}", figures["capability"])
    limits = capabilities[figures["capability"]]
    nominal = figures["nominal_mib"]
    figures = {**figures, **_predicted(figures)}
    usable = {
        platform: figures[key] for platform, key in zip(PLATFORMS, USABLE, strict=True) if key in figures
    }
    for platform, value in usable.items():
        if value > nominal:
            key = f"{platform}_usable_mib"
            raise wrong(card.file, where, key, f"at most nominal_mib = {nominal}", value)
    usable_most = dict(usable)
    for platform, key, least_key in zip(PLATFORMS, USABLE_MOST, USABLE, strict=True):
        if key in figures:
            if not usable.get(platform, nominal + 1) <= figures[key] <= nominal:
                expected = f"at least {least_key} and at most nominal_mib = {nominal}"
                raise wrong(card.file, where, key, expected, figures[key])
            usable_most[platform] = figures[key]
    least, most = context_range(figures["sms"], limits["max_threads_per_sm"])
    if CONTEXT in figures:
        least = most = round(figures[CONTEXT] * MIB)
    if most >= min(usable.values()) * MIB:
        key = CONTEXT if CONTEXT in figures else "sms"
        expected = (
            "less than the usable MiB" if CONTEXT in figures else "so few that CUDA fits into the usable MiB"
        )
        raise wrong(card.file, where, key, expected, figures[key])
    major, minor = figures["capability"].split(".")
    sources = {key: limits["source"] for key in CAPABILITY_FIGURES if key != "source"}
    sources |= {CONTEXT: cuda_context.SOURCE} | card.sources
    for platform, key in zip(PLATFORMS, USABLE_MOST, strict=True):
        if key in figures and key not in sources:
            sources[key] = usable_memory.SOURCE[platform]
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
        host=figures.get(HOST, HOSTS[0]),
        sources=sources,
    )


def _predicted(figures: Mapping[str, Any]) -> dict[str, float]:
    """Usable memory that is said to be computed, by its key; never beyond a reading at its other end."""
    found: dict[str, float] = {}
    for platform, key, most_key in zip(PLATFORMS, USABLE, USABLE_MOST, strict=True):
        least, most = figures.get(key), figures.get(most_key)
        if COMPUTED not in (least, most):
            continue
        bounds = usable_memory.usable_range_mib(
            platform, figures["nominal_mib"], figures["capability"], figures["bus_width_bits"]
        )
        if least == COMPUTED:
            found[key] = min(bounds[0], bounds[1] if most in (None, COMPUTED) else most)
        if most == COMPUTED or (most is None and least == COMPUTED):
            found[most_key] = max(
                bounds[1], found.get(key, 0.0) if least == COMPUTED else float(least or 0.0)
            )
    return found
