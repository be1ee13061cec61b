"""Which card of the catalog is in this machine."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.device_selection import RealCard
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.gpus import CardSource, Gpu, find_gpu, load_catalog
from nanocheck.core.units import mib


class UnknownCardError(RequestError):
    """The catalog has no card of this name and size."""


#: How far a driver moves the usable memory of one and the same card: 1.2 % between all that the catalog knows
#: of the RTX 3060. Beyond this it is a card of another size.
_SAME_SIZE = 0.03


def choose_card(found: RealCard | str, asked: str | None, gpus: Sequence[CardSource] = ()) -> Gpu:
    """The catalog's card of the real one's name, and of the nearest size where several have the name.

    Args:
        found: what the driver offers, or why it offers nothing.
        asked: an id of the catalog that it must be; None: whichever it is.

    Raises:
        MachineError: there is no card here.
        RequestError: it is another one than was asked for.
        UnknownCardError: the catalog has none of its name and size.
    """
    wanted = None if asked is None else find_gpu(asked, gpus)
    if isinstance(found, str) or found.virtual:
        why = found if isinstance(found, str) else f"the virtual GPU is preloaded and plays a {found.name}"
        raise MachineError(
            f"expected {'a card' if wanted is None else wanted.name} to verify against, found none: {why}",
            hint="run it on a machine with a card; without one, nanocheck verify --pre-register --gpu ID "
            "predicts, and nanocheck verify --stand-in shows what it would do",
        )
    if wanted is not None and wanted.name != found.name:
        raise RequestError(
            f"--gpu {wanted.id}: expected {wanted.name} in this machine, found {found.name}: cards of "
            "another kind have kernels of their own",
            hint="leave --gpu away, or choose the card with CUDA_VISIBLE_DEVICES",
        )
    named = [wanted] if wanted else [gpu for gpu in load_catalog(gpus).values() if gpu.name == found.name]
    sized = [
        (abs(gpu.usable_bytes["linux"] - found.total_bytes), gpu)
        for gpu in named
        if "linux" in gpu.usable_bytes
    ]
    nearest = min(sized, key=lambda each: each[0], default=None)
    if nearest is None or nearest[0] > _SAME_SIZE * found.total_bytes:
        known = ", ".join(f"{gpu.id} with {mib(gpu.usable_bytes['linux'])} MiB" for _, gpu in sized)
        raise UnknownCardError(
            f"expected a card of the catalog, found {found.name} with {mib(found.total_bytes)} MiB, of which "
            f"the catalog has {known or 'none of that name'}",
            hint="copy the table of a similar card into a TOML file, set name and linux_usable_mib = "
            f"{found.total_bytes / 2**20:g}, and name the file with --gpus FILE (CONTRIBUTING.md)",
        )
    return nearest[1]
