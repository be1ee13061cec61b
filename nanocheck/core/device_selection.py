"""Which device answers: the real card where it is there, else the virtual one, and why.

Nothing here imports torch or initialises CUDA in this process: a child asks the driver.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.gpus import DEFAULT_GPU, CardSource, Gpu, find_gpu
from nanocheck.core.machine import Alike, machine_of
from nanocheck.core.options import CARD_OPTIONS, DEVICE, GPU, MARGIN, PLATFORM, RESERVE, Option
from nanocheck.core.units import mib, parse_size_of
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES

CHOICES = DEVICE.choices

#: Asks the driver for the first visible card; through the driver's own library, so that it works without
#: nvidia-smi, honours CUDA_VISIBLE_DEVICES, and meets a preloaded virtual GPU as if it were a card.
_DRIVER_QUERY = """
import ctypes, json
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError:
    print(json.dumps({"why": "no NVIDIA driver was found"}))
    raise SystemExit
count, device, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
name = ctypes.create_string_buffer(256)
for call in (
    lambda: cuda.cuInit(0),
    lambda: cuda.cuDeviceGetCount(ctypes.byref(count)),
    lambda: 100 if count.value == 0 else 0,
    lambda: cuda.cuDeviceGet(ctypes.byref(device), 0),
    lambda: cuda.cuDeviceGetName(name, 256, device),
    lambda: cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device),
):
    code = call()
    if code:
        print(json.dumps({"why": f"the NVIDIA driver offers no card (CUDA error {code})"}))
        raise SystemExit
ours = hasattr(ctypes.CDLL(None), "nanocheck_virtual_version")
print(json.dumps({"name": name.value.decode(errors="replace"), "total_bytes": size.value, "virtual": ours}))
"""


#: What a driver shows of the memory that ``nvidia-smi`` does: less some hundred MiB, of small cards the most.
_LEAST_SHOWN, _MOST_SHOWN = 0.9, 1.02


@dataclass(frozen=True)
class RealCard:
    """A card the driver offers: its name as the driver tells it, and its memory.

    ``virtual``: the driver is the virtual GPU, preloaded to walk the measured road without a card.
    """

    name: str
    total_bytes: int
    virtual: bool = False


@dataclass(frozen=True)
class SelectedDevice:
    """A target and one clause that says why it was chosen.

    ``is_real``: a real GPU will run. Each result finds that out for itself once more.
    """

    target: Target
    why: str
    is_real: bool = False


def find_real_card() -> RealCard | str:
    """The first visible card, or why there is none."""
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _DRIVER_QUERY], capture_output=True, text=True, timeout=60, check=False
        )
        answer = json.loads(asked.stdout)
        return (
            RealCard(answer["name"], answer["total_bytes"], answer["virtual"])
            if "name" in answer
            else str(answer["why"])
        )
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        return f"the NVIDIA driver did not answer ({type(error).__name__})"


def is_same_card(gpu: Gpu, found: RealCard) -> bool:
    """Whether a real card is the catalog's: some names are sold with two sizes of memory."""
    return found.name == gpu.name and _LEAST_SHOWN < found.total_bytes / gpu.nominal_bytes < _MOST_SHOWN


def choose_device(
    gpu: Gpu,
    choice: str = "auto",
    *,
    platform: str = "linux",
    reserve_bytes: int = 0,
    find: Callable[[], RealCard | str] = find_real_card,
) -> SelectedDevice:
    """The device for a card.

    ``auto`` measures where the asked card itself is there, and runs virtually otherwise: another card's
    own kernels and sizes would answer a question nobody asked. ``real`` insists, and caps another card to
    the asked one's memory.

    Raises:
        RequestError: an unknown choice, or the real card is smaller than the asked one.
        MachineError: ``real``, and there is no card.
    """
    if choice not in CHOICES:
        raise RequestError(f"--device: expected one of {', '.join(CHOICES)}, found {choice!r}")

    def target(kind: str, capped_from: str | None = None) -> Target:
        return Target(
            kind=kind, gpu=gpu, platform=platform, reserve_bytes=reserve_bytes, capped_from=capped_from
        )

    if choice == "virtual":
        return SelectedDevice(target("virtual"), "--device virtual")
    found = find()
    if isinstance(found, str):
        if choice == "real":
            raise MachineError(
                f"--device real: expected {gpu.name}, found none: {found}",
                hint="run it on a machine with a card, or leave --device away for a virtual run",
            )
        return SelectedDevice(target("virtual"), found)
    if is_same_card(gpu, found):
        return SelectedDevice(target("real"), f"{found.name} is here", not found.virtual)
    if choice == "auto":
        size = f" with {mib(found.total_bytes)} MiB" if found.name == gpu.name else ""
        return SelectedDevice(
            target("virtual"),
            f"{found.name}{size} is here, not {gpu.id if size else gpu.name}; --device real would cap it "
            "instead",
        )
    asked = target("real", found.name)
    least = asked.device.sure_capacity_bytes
    if found.total_bytes < least:
        raise RequestError(
            f"--device real: expected a card of at least {mib(least)} MiB to stand in "
            f"for {gpu.name}, found {found.name} with {mib(found.total_bytes)} MiB",
            hint="leave --device away for a virtual run",
        )
    why = f"{found.name} is here and stands in for {gpu.name}, its memory capped"
    return SelectedDevice(asked, why, not found.virtual)


@dataclass(frozen=True, kw_only=True)
class CardQuestion:
    """Which card is asked about, and what must stay free on it.

    Attributes:
        gpu: an id of the catalog, or a machine of several cards (``core.machine``). gpus: files with further
            cards, and cards that were described.
        device, platform: see the options' help.
    """

    gpu: str = DEFAULT_GPU
    gpus: tuple[CardSource, ...] = ()
    device: str = "auto"
    platform: str = "linux"
    reserve_bytes: int = 0
    margin_bytes: int = DEFAULT_MARGIN_BYTES

    @classmethod
    def of(
        cls, values: Mapping[Option, str], gpus: Sequence[CardSource], *, in_pytest: bool = False
    ) -> CardQuestion:
        """From what was given; an option that is missing has its default.

        Raises:
            RequestError: a word that is none of the choices, no size, or no machine (``machine_of``).
        """
        text = {option: values.get(option, option.default) for option in CARD_OPTIONS}
        for option in (DEVICE, PLATFORM):
            if text[option] not in option.choices:
                raise RequestError(
                    f"{option.flag}: expected one of {', '.join(option.choices)}, found {text[option]!r}"
                )
        margin = MARGIN.pytest_flag if in_pytest else MARGIN.flag
        machine_of(text[GPU])
        return cls(
            gpu=text[GPU],
            gpus=tuple(gpus),
            device=text[DEVICE],
            platform=text[PLATFORM],
            reserve_bytes=parse_size_of(RESERVE.flag, text[RESERVE]),
            margin_bytes=parse_size_of(margin, text[MARGIN]),
        )

    @property
    def machine(self) -> tuple[Alike, ...]:
        """The cards of one machine, where several were asked for; () for one card, and for several questions.

        Raises:
            RequestError: see ``machine_of``.
        """
        return machine_of(self.gpu) or ()

    @property
    def cards(self) -> int:
        """How many the machine has."""
        return sum(each.cards for each in self.machine) or 1

    def select(self, find: Callable[[], RealCard | str] = find_real_card) -> SelectedDevice:
        """The device that answers; of a machine with several cards, the first with the others beside it.

        Args:
            find: looks for the real card; another one where the run will not be on this machine.

        Raises:
            RequestError, MachineError: see ``machine_of``, ``find_gpu`` and ``choose_device``; or several
                real cards were asked for.
        """
        machine = self.machine
        if machine and self.device == "real":
            raise RequestError(
                f"--gpu {self.gpu}: expected virtual cards, found --device real", hint="leave --device away"
            )
        chosen = choose_device(
            find_gpu(machine[0].gpu if machine else self.gpu, self.gpus),
            "virtual" if machine else self.device,
            platform=self.platform,
            reserve_bytes=self.reserve_bytes,
            find=find,
        )
        if not machine:
            return chosen
        beside = tuple((each.cards, find_gpu(each.gpu, self.gpus)) for each in machine[1:])
        return replace(
            chosen,
            target=replace(chosen.target, cards=machine[0].cards, beside=beside),
            why="a machine of several cards",
        )


def one_card_expected(question: CardQuestion, instead: str = "see `nanocheck run`") -> RequestError:
    """Of a machine with several cards, where only a command can use them, or with several kinds of them.

    Args:
        instead: what takes one.
    """
    kinds = len(question.machine) > 1
    expected, found = ("cards of one kind", "several") if kinds else ("one card", "a machine with several")
    return RequestError(
        f"--gpu {question.gpu}: expected {expected}, found {found}: {instead}",
        hint=f"--gpu {question.machine[0].gpu}",
    )
