"""The virtual GPU: the real PyTorch on a card that is not there.

``prepare`` builds or finds the library; ``VirtualGpu.launch_environment`` is what a process needs
before torch is imported; ``card_environment`` chooses the card, any time before CUDA initialises.
Nothing here imports torch.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nanocheck.core.device import Target
from nanocheck.virtual import preload
from nanocheck.virtual.build import CLOCK, LIBRARY, NVML, build_library, source_hash
from nanocheck.virtual.cache import cache_folder
from nanocheck.virtual.card import card_text
from nanocheck.virtual.installed_torch import InstalledTorch, find_torch

__all__ = ["VirtualGpu", "card_environment", "prepare", "source_hash"]


@dataclass(frozen=True)
class VirtualGpu:
    """A compiled virtual GPU for one installation of torch.

    Attributes:
        folder: holds the libraries.
        torch_version: such as ``2.14.1+cu130``.
    """

    folder: Path
    torch_version: str

    def launch_environment(self, others: str | None = None, *, clock: bool = False) -> dict[str, str]:
        """Variables a process needs from its start; they hold for its children too.

        Args:
            others: what else is preloaded; by default what is here.
            clock: whether the program is shown a clock that waits for the card move on.
        """
        libraries = [str(self.folder / LIBRARY), str(self.folder / NVML)]
        others = os.environ.get("LD_PRELOAD") if others is None else others
        if clock:
            libraries.append(str(self.folder / CLOCK))
        if others:
            libraries.append(others)
        return {
            "LD_PRELOAD": ":".join(libraries),
            "TRITON_LIBCUDA_PATH": str(self.folder),
            # One card, chosen later: imports that count cards must not conclude that there is none.
            "NANOCHECK_CARD": "pending",
            # Counted through NVML: a process that counted through CUDA may not fork and use CUDA.
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            # Expandable segments would otherwise ask for handles that other processes can open.
            "TORCH_CUDA_EXPANDABLE_SEGMENTS_IPC": "0",
            # Nobody executes kernels, so nobody must spend processes on compiling them.
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            # To ask for its folder makes it: until a card is chosen, not in the temporary folder.
            "TORCHINDUCTOR_CACHE_DIR": str(cache_folder() / "inductor" / "pending"),
        }


def prepare() -> VirtualGpu:
    """The virtual GPU for the installed torch, compiled on first use.

    Raises:
        MachineError: CPU-only torch, no C compiler, a cache that cannot be written, or a loader that does not
            take the library.
    """
    return virtual_gpu(find_torch())


def virtual_gpu(torch: InstalledTorch) -> VirtualGpu:
    """The same for any installed torch.

    Raises:
        MachineError: see ``prepare``.
    """
    gpu = VirtualGpu(build_library(torch), torch.version)
    preload.check(gpu.launch_environment())
    return gpu


@functools.cache
def _sources() -> tuple[str, str]:
    """What of nanocheck itself decides how code is compiled; read once, not for every configuration."""
    observe = Path(__file__).parents[1] / "observe"
    own = (observe / "uncompiled_kernels.py").read_bytes()
    return source_hash(), hashlib.sha256(own).hexdigest()


@functools.cache
def _own_version() -> str:
    return find_torch().version


def card_environment(target: Target) -> dict[str, str]:
    """Variables that choose the card; set them before CUDA initialises.

    Compiled code is cached per card: Inductor's own key is the card's name, and two cards of the same
    name can differ in a user's catalog.
    """
    text = card_text(target)
    return {"NANOCHECK_CARD": text, **compiled_code_environment(text, _own_version())}


#: Lines of a card's text that say what stands beside it.
_OF_THE_MACHINE = ("cards=", "links=", "peers=")


def compiled_code_environment(text: str, torch_version: str) -> dict[str, str]:
    """Where a card's compiled code is cached.

    Args:
        text: the card, as ``card_text`` writes it.
        torch_version: of the torch that compiles.
    """
    # Neither memory nor further cards enter compiled code, so --reserve compiles nothing anew.
    compiled_for = "\n".join(
        line
        for line in text.splitlines()
        if ("_bytes=" not in line or line.startswith("l2")) and not line.startswith(_OF_THE_MACHINE)
    )
    library, observer = _sources()
    identity = compiled_for + library + torch_version + observer
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(cache_folder() / "inductor" / key),
        "TRITON_CACHE_DIR": str(cache_folder() / "triton" / key),
    }
