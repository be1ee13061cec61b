"""Where something runs: a card of the catalog on a platform, real or virtual."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu
from nanocheck.core.torch_builds import builds_for
from nanocheck.core.units import mib_span


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What identifies a device; stands in every result.

    Attributes:
        kind: ``real``, ``virtual`` or ``cpu``.
        gpu: the card's id in the catalog.
        name: as ``torch.cuda.get_device_name()`` prints it.
        capability: such as ``8.9``. sms: streaming multiprocessors.
        platform: operating system; a driver on Windows keeps other amounts for itself than on Linux.
        capacity_bytes: what CUDA reports as the card's total memory on this platform, the most that drivers
            were seen to leave: a virtual card has as much, so that what does not fit there fits nowhere.
        context_bytes: the least that the CUDA context and loaded modules take, outside of PyTorch's
            allocator: a virtual card takes as much, so that what does not fit there fits nowhere.
        context_most_bytes: the most, which *safe* leaves room for; see ``cuda_context``.
        capacity_least_bytes: the least, for which *safe* leaves room; ``None``: the same.
        capacity_source: how the memory was predicted, at one end at least; ``None``: it was read.
        host: architecture of the machines that have the card, where it is not this one's.
        notes: what a reader must know of the card, beside the figures; they stand among a result's notes.
        reserve_bytes: used by other processes, such as a desktop.
        capped_from: name of the real card that stands in for the asked one, its memory capped.
    """

    kind: str
    gpu: str
    name: str
    capability: str
    sms: int
    platform: str
    capacity_bytes: int
    context_bytes: int
    context_most_bytes: int
    reserve_bytes: int = 0
    capped_from: str | None = None
    capacity_least_bytes: int | None = None
    capacity_source: str | None = None
    host: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def sure_capacity_bytes(self) -> int:
        """What every driver leaves, as far as was seen."""
        return self.capacity_bytes if self.capacity_least_bytes is None else self.capacity_least_bytes

    @property
    def available_bytes(self) -> int:
        """What PyTorch may reserve at the most: the card without the CUDA context, the least of it, and what
        other processes use.
        """
        return self.capacity_bytes - self.context_bytes - self.reserve_bytes

    @property
    def surely_available_bytes(self) -> int:
        """What PyTorch may reserve though CUDA takes the most, and the driver leaves the least."""
        return self.sure_capacity_bytes - self.context_most_bytes - self.reserve_bytes


class CardsAlike(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many cards of one kind in a machine; ``device``: one of them."""

    cards: int
    device: Device


def device_of(machine: Sequence[CardsAlike], only: Device, card: int) -> Device:
    """A card of the machine by its number, from 0; those of a further node are like the first node's.

    Args:
        machine: () where there is one card, ``only``.
    """
    number = card % (sum(each.cards for each in machine) or 1)
    for each in machine:
        if number < each.cards:
            return each.device
        number -= each.cards
    return only


@dataclass(frozen=True, kw_only=True)
class Target:
    """A card of the catalog as something to run on: all its figures, and what is done to it.

    Attributes:
        kind: ``real``, ``virtual`` or ``cpu``.
        gpu: the card that was asked for; its figures are the limits a verdict is about.
        platform, reserve_bytes, capped_from: see ``Device``; the last only for ``real``.
        cards: how many of them the machine has. beside: its further cards, so many of each kind, in order.

    Raises:
        RequestError: the catalog does not know the card's memory on this platform, or more is reserved than
            there is.
    """

    kind: str
    gpu: Gpu
    platform: str = "linux"
    reserve_bytes: int = 0
    capped_from: str | None = None
    cards: int = 1
    beside: tuple[tuple[int, Gpu], ...] = ()

    def __post_init__(self) -> None:
        if self.platform not in self.gpu.usable_bytes:
            known = ", ".join(sorted(self.gpu.usable_bytes))
            raise RequestError(
                f"{self.gpu.id}: how much memory {self.platform} leaves usable is not in the catalog "
                f"(known: {known})",
                hint=f"choose --platform {known}, or add {self.platform}_usable_mib to the card's table",
            )
        capacity = self.gpu.usable_bytes[self.platform]
        if not 0 <= self.reserve_bytes < capacity:
            raise RequestError(
                f"--reserve: expected less than the card's {capacity} bytes ({self.gpu.id}), found "
                f"{self.reserve_bytes}"
            )

        for _, gpu in self.beside:
            replace(self, gpu=gpu, beside=())  # as possible as the first

    @property
    def machine_cards(self) -> int:
        """How many cards the machine has in all."""
        return self.cards + sum(cards for cards, _ in self.beside)

    @property
    def kinds(self) -> tuple[Target, ...]:
        """The machine's cards, each kind as if it were alone, in their order."""
        first = replace(self, beside=())
        return (first, *(replace(first, cards=cards, gpu=gpu) for cards, gpu in self.beside))

    @property
    def machine(self) -> tuple[CardsAlike, ...]:
        """What results say of a machine with several cards; () of one card."""
        if self.machine_cards == 1:
            return ()
        return tuple(CardsAlike(cards=each.cards, device=each.device) for each in self.kinds)

    @property
    def device(self) -> Device:
        """What results say of it, of several cards the first."""
        gpu = self.gpu
        least, most = gpu.usable_bytes[self.platform], gpu.usable_most_bytes[self.platform]
        return Device(
            kind=self.kind,
            gpu=gpu.id,
            name=gpu.name,
            capability=gpu.capability_text,
            sms=gpu.sms,
            platform=self.platform,
            capacity_bytes=most,
            capacity_least_bytes=least if least < most else None,
            context_bytes=gpu.context_bytes,
            context_most_bytes=gpu.context_most_bytes,
            reserve_bytes=self.reserve_bytes,
            capped_from=self.capped_from,
            capacity_source=gpu.computed(self.platform),
            host=gpu.host if gpu.host != platform.machine() else None,
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        gpu = self.gpu
        if gpu.computed(self.platform):
            left = mib_span(gpu.usable_bytes[self.platform], gpu.usable_most_bytes[self.platform])
            yield (
                f"how much memory drivers leave of this card is predicted from its size, {left} MiB: nobody "
                "published it"
            )
        if gpu.host != platform.machine():
            builds = builds_for(gpu.capability_text, gpu.host)
            yield (
                f"machines with this card are {gpu.host}, where PyTorch's builds for CUDA "
                f"{' and '.join(builds)} have its kernels; here a build for {platform.machine()} ran instead"
            )
        if gpu.note:
            yield gpu.note

    @property
    def available_bytes(self) -> int:
        """See ``Device.available_bytes``."""
        return self.device.available_bytes
