"""Which symbols the virtual GPU must answer, read from the ELF files of the installed torch."""

from __future__ import annotations

import re
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from nanocheck.core.errors import MachineError
from nanocheck.virtual.installed_torch import DEVICE_LIBRARIES, SYSTEM_INCLUDES, InstalledTorch

#: Of these, every function is answered or stops by name: other packages link them too.
WHOLE_LIBRARIES = ("libcublas", "libcublasLt", "libcudart", "libnccl")

_API_NAME = re.compile(r"(__cuda|cu[a-z]*[A-Z]|nccl[A-Z]|nvshmem)\w*")
_DRIVER_DECLARATION = re.compile(r"^\s*CUresult\s+CUDAAPI\s+(cu[A-Z]\w*)\s*\(", re.MULTILINE)
#: ``#define cuMemAlloc cuMemAlloc_v2``: the name in the library carries the version.
_DRIVER_VERSION = re.compile(
    r"^\s*#\s*define\s+cu[A-Z]\w*\s+(?:__CUDA_API_PT\w+\()?(cu[A-Z]\w*)", re.MULTILINE
)


def dynamic_symbols(library: Path) -> tuple[set[str], set[str]]:
    """Names of the functions a shared object imports and exports.

    C++ symbols and data are left out: only names in the manner of an NVIDIA interface count.
    """
    imports: set[str] = set()
    exports: set[str] = set()
    with library.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        if isinstance(table, SymbolTableSection):
            for symbol in table.iter_symbols():
                if _API_NAME.fullmatch(symbol.name) is None:
                    continue
                if symbol["st_shndx"] == "SHN_UNDEF":
                    imports.add(symbol.name)
                elif symbol["st_info"]["type"] == "STT_FUNC":
                    exports.add(symbol.name)
    return imports, exports


def _stem(library: Path) -> str:
    return library.name.split(".so")[0]


def needed_symbols(torch: InstalledTorch) -> list[str]:
    """Every symbol that must be answered or stop the run by name, sorted.

    These are the functions PyTorch imports from a device library, all functions of the CUDA runtime,
    cuBLAS and NCCL, and those of the driver. The driver is not installed: its functions are the ones that
    ``cuda.h`` declares.
    """
    offered, whole = _offered_symbols(torch)
    return sorted(driver_symbols(torch) | whole | _imported_symbols(torch) & (offered | whole))


def asked_symbols(torch: InstalledTorch) -> set[str]:
    """The functions that PyTorch's own libraries import from a device library or the driver.

    What it looks up by name while it runs is not among them.
    """
    offered, _ = _offered_symbols(torch)
    return _imported_symbols(torch) & (offered | driver_symbols(torch))


def _imported_symbols(torch: InstalledTorch) -> set[str]:
    found: set[str] = set()
    for library in torch.torch_libraries:
        found |= dynamic_symbols(library)[0]
    return found


def _offered_symbols(torch: InstalledTorch) -> tuple[set[str], set[str]]:
    """What the device libraries export; of these, what those export of which every function is wanted."""
    offered: set[str] = set()
    whole: set[str] = set()
    for library in torch.cuda_libraries:
        exports = dynamic_symbols(library)[1]
        if any(_stem(library) == stem or _stem(library).startswith(stem + "_") for stem in DEVICE_LIBRARIES):
            offered |= exports
        if _stem(library) in WHOLE_LIBRARIES:
            whole |= exports
    return offered, whole


def stopping_symbols(library: Path) -> set[str]:
    """The functions of a compiled virtual GPU that stop a run by name: those in the section of stubs."""
    with library.open("rb") as file:
        elf = ELFFile(file)
        stubs = elf.get_section_index("nc_stubs")
        table = elf.get_section_by_name(".dynsym")
        assert isinstance(table, SymbolTableSection)
        return {each.name for each in table.iter_symbols() if each["st_shndx"] == stubs}


def driver_symbols(torch: InstalledTorch) -> set[str]:
    """Functions of the driver interface, those with and without a version in their name."""
    for folder in (*torch.include_folders, *SYSTEM_INCLUDES):
        header = folder / "cuda.h"
        if header.exists():
            text = header.read_text(encoding="utf-8", errors="replace")
            return {*_DRIVER_DECLARATION.findall(text), *_DRIVER_VERSION.findall(text)}
    raise MachineError(
        "expected cuda.h among the headers of the installed torch, found none",
        hint="pip install --force-reinstall torch triton",
    )
