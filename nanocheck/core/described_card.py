"""A card that is in no catalog, in words: ``--card "name=My card, memory=24GiB, like=rtx4090"``.

What the words leave out is taken from the card it is like; without one, from the card of its compute
capability that is nearest in memory. Usable memory is predicted from the size, unless it is given. Each
figure says in its source which of these it was; a note says it with every result.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanocheck.core import cuda_context, usable_memory
from nanocheck.core.card_tables import card_key
from nanocheck.core.cuda_context import context_range
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu
from nanocheck.core.units import GIB, MIB, mib, parse_size_of

OPTION = "--card"
EXAMPLE = f'{OPTION} "name=My card, memory=24GiB, like=rtx4090"'
_NAMELESS = "own card"
_SAYS = "as described with --card"
#: More than any card of the catalog, and less than what no card can be.
_MEMORY = (1 * GIB, 2048 * GIB)


@dataclass(frozen=True)
class _Key:
    """One word of a description: the figure it sets, how its text is read, and what is expected of it."""

    figure: str
    read: Callable[[str], Any]
    expected: str


def _count(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise ValueError
        return int(text)

    return read


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text, re.ASCII) or float(text) <= 0:
        raise ValueError
    return float(text)


def _size(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        size = parse_size_of(OPTION, text)
        if not least <= size <= most:
            raise ValueError
        return size

    return read


def _capability(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]?)\.([0-9])", text, re.ASCII)
    if found is None:
        raise ValueError
    return int(found[1]), int(found[2])


def _name(text: str) -> str:
    if not text.isprintable() or len(text.encode(errors="replace")) > 100:
        raise ValueError
    return text


_KEYS = {
    "name": _Key("name", _name, "up to 100 printable characters"),
    "memory": _Key("nominal_mib", _size(*_MEMORY), "a size from 1GiB to 2048GiB, as nvidia-smi shows it"),
    "like": _Key("", str, "an id that `nanocheck gpus` lists"),
    "usable": _Key("usable", _size(*_MEMORY), "a size from 1GiB on, as torch shows total_memory"),
    "capability": _Key("capability", _capability, "a compute capability such as 8.9"),
    "sms": _Key("sms", _count(1024), "a number of multiprocessors from 1 to 1024"),
    "l2": _Key("l2_mib", _size(64 << 10, GIB), "a size from 64KiB to 1GiB"),
    "bus": _Key("bus_width_bits", _count(32768), "the bits of the memory bus"),
    "bandwidth": _Key("bandwidth_gb_s", _number, "GB/s, such as 1008"),
    "boost": _Key("boost_mhz", _count(10_000), "MHz"),
    "tgp": _Key("tgp_w", _count(10_000), "watts"),
    "bf16": _Key("bf16_tflops", _number, "dense TFLOPS"),
}


@dataclass(frozen=True)
class DescribedCard:
    """A description that was read; ``text`` as it was given, ``id`` what results call the card."""

    text: str
    id: str

    @classmethod
    def parse(cls, text: str) -> DescribedCard:
        """
        Raises:
            RequestError: a word that is none, a value that is none, or neither memory nor a card it is like.
        """
        said = _said(text)
        if "like" not in said and not {"memory", "capability"} <= said.keys():
            raise RequestError(
                f"{OPTION}: expected like=CARD, or memory= and capability=, found "
                f"{', '.join(said) or 'nothing'}",
                hint=EXAMPLE,
            )
        name = str(said.get("name", _NAMELESS))
        return cls(text, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "own-card")

    def build(self, catalog: Mapping[str, Gpu]) -> Gpu:
        """The card, with what the description leaves out taken from the catalog.

        Raises:
            RequestError: an unknown card or capability, an id that a card of the catalog has, or more usable
                memory than there is.
        """
        said = _said(self.text)
        taken = {card_key(each): each for each in catalog}.get(card_key(self.id))
        if taken is not None:
            raise RequestError(
                f"{OPTION}: expected a name of its own, found that of {taken} in the catalog",
                hint=f"give it another name, or ask for the one there: --gpu {taken}",
            )
        base = _base(said, catalog)
        given = {_KEYS[key].figure: value for key, value in said.items() if _KEYS[key].figure}
        return _built(self.id, base, given)


def _said(text: str) -> dict[str, Any]:
    """Word -> value."""
    found: dict[str, Any] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals or key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            raise RequestError(
                f"{OPTION}: expected word=value with {', '.join(_KEYS)}, found {part!r:.80}",
                hint=f"write {close[0]}=" if close and equals else EXAMPLE,
            )
        if key in found:
            raise RequestError(f"{OPTION}: expected {key}= once, found it twice", hint=EXAMPLE)
        try:
            if not value:
                raise ValueError
            found[key] = _KEYS[key].read(value)
        except (ValueError, RequestError) as error:
            raise RequestError(
                f"{OPTION}: {key}: expected {_KEYS[key].expected}, found {value!r:.80}", hint=EXAMPLE
            ) from error
    return found


def _base(said: Mapping[str, Any], catalog: Mapping[str, Gpu]) -> Gpu:
    """The card whose figures stand in for those that were not given."""
    if "like" in said:
        by_key = {card_key(each): gpu for each, gpu in catalog.items()}
        asked = card_key(said["like"])
        if asked not in by_key:
            close = difflib.get_close_matches(asked, by_key, n=3)
            raise RequestError(
                f"{OPTION}: like: expected {_KEYS['like'].expected}, found {said['like']!r:.80}",
                hint=f"close: {', '.join(by_key[each].id for each in close)}" if close else EXAMPLE,
            )
        base = by_key[asked]
        if said.get("capability", base.capability) == base.capability:
            return base
    same = [gpu for gpu in catalog.values() if gpu.capability == said["capability"]]
    if not same:
        known = sorted({gpu.capability for gpu in catalog.values()})
        raise RequestError(
            f"{OPTION}: capability: expected one of {', '.join(f'{a}.{b}' for a, b in known)}, "
            f"found {said['capability'][0]}.{said['capability'][1]}",
            hint="describe a card of another capability in a TOML file: --gpus FILE",
        )
    size = said.get("memory", 0)
    return min(same, key=lambda gpu: (abs(gpu.nominal_bytes - size), gpu.id))


def _built(card_id: str, base: Gpu, given: Mapping[str, Any]) -> Gpu:
    sources = {name: f"as {base.id}: {source}" for name, source in base.sources.items()}
    sources |= {name: _SAYS for name in given if name != "usable"}
    sms = given.get("sms", base.sms)
    boost = given.get("boost_mhz", base.boost_mhz)
    tflops = given.get("bf16_tflops")
    if tflops is None and base.bf16_tflops is not None:
        tflops = base.bf16_tflops * sms * boost / (base.sms * base.boost_mhz)
        if sms * boost != base.sms * base.boost_mhz:
            sources["bf16_tflops"] = f"computed: that of {base.id} x SMs x boost"
    bus, bandwidth = given.get("bus_width_bits", base.bus_width_bits), given.get("bandwidth_gb_s")
    clock = base.memory_mhz
    if bandwidth is not None:
        clock = max(1, round(bandwidth * 8e3 / (2 * bus)))
        sources["memory_mhz"] = "computed: from bandwidth and bus"
    elif bus != base.bus_width_bits:
        bandwidth = 2 * clock * bus / 8e3
        sources["bandwidth_gb_s"] = f"computed: from the bus and the memory clock of {base.id}"
    else:
        bandwidth = base.bandwidth_gb_s
    least, most = base.context_bytes, base.context_most_bytes
    if sms != base.sms:
        least, most = context_range(sms, base.max_threads_per_sm)
        sources["context_mib"] = cuda_context.SOURCE
    nominal = given.get("nominal_mib", base.nominal_bytes)
    usable = _usable(base, given, nominal, bus, sources)
    if most >= min(low for low, _ in usable.values()):
        raise RequestError(
            f"{OPTION}: expected memory for what CUDA itself takes with {sms} multiprocessors, "
            f"{mib(most)} MiB, found {mib(nominal)}",
            hint="give it more memory, or fewer multiprocessors (sms=)",
        )
    words = ", ".join(key for key, each in _KEYS.items() if each.figure in given)
    return dataclasses.replace(
        base,
        id=card_id,
        name=given.get("name", _NAMELESS),
        sms=sms,
        l2_bytes=given.get("l2_mib", base.l2_bytes),
        bus_width_bits=bus,
        bandwidth_gb_s=float(bandwidth),
        boost_mhz=boost,
        memory_mhz=clock,
        bf16_tflops=tflops,
        tgp_w=given.get("tgp_w", base.tgp_w),
        nominal_bytes=nominal,
        usable_bytes={platform: low for platform, (low, _) in usable.items()},
        usable_most_bytes={platform: high for platform, (_, high) in usable.items()},
        context_bytes=least,
        context_most_bytes=most,
        sources={**sources, "name": _SAYS},
        note=f"the card was described with {OPTION} ({words or 'what it is like'}); all else is that of "
        f"{base.id}",
    )


def _usable(
    base: Gpu, given: Mapping[str, Any], nominal: int, bus: int, sources: dict[str, str]
) -> dict[str, tuple[int, int]]:
    """Platform -> the least and the most, bytes; their sources are noted."""
    found: dict[str, tuple[int, int]] = {}
    for platform, least in base.usable_bytes.items():
        names = (f"{platform}_usable_mib", f"{platform}_usable_most_mib")
        if "usable" in given:
            if given["usable"] > nominal:
                raise RequestError(
                    f"{OPTION}: usable: expected at most the memory, {mib(nominal)} MiB, found "
                    f"{mib(given['usable'])}",
                    hint=EXAMPLE,
                )
            found[platform] = (given["usable"], given["usable"])
            sources[names[0]] = _SAYS
            sources.pop(names[1], None)
        elif nominal == base.nominal_bytes:
            found[platform] = (least, base.usable_most_bytes[platform])
            for name in names:
                if name in base.sources:  # a prediction stays one, in the words that mark it
                    sources[name] = base.sources[name] if base.computed(platform) else sources[name]
        else:
            low, high = usable_memory.usable_range_mib(platform, nominal / MIB, base.capability_text, bus)
            found[platform] = (round(low * MIB), round(high * MIB))
            sources |= dict.fromkeys(names, usable_memory.SOURCE[platform])
    return found


def described(texts: Sequence[str]) -> tuple[DescribedCard, ...]:
    """Each description as a card, in their order.

    Raises:
        RequestError: see ``DescribedCard.parse``.
    """
    return tuple(DescribedCard.parse(each) for each in texts)
