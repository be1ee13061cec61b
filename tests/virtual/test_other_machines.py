"""Machines that are not x86-64 with pages of 4 KiB: what can be seen of them from here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from paths import CSRC
from virtual_calls import call

from nanocheck.virtual import build as building
from nanocheck.virtual.installed_torch import find_torch
from nanocheck.virtual.symbols import needed_symbols

ARM = "aarch64-linux-gnu-gcc"


def test_it_compiles_for_aarch64(tmp_path: Path) -> None:
    """``apt-get install gcc-aarch64-linux-gnu``. NVIDIA's headers are the same there."""
    if shutil.which(ARM) is None:
        pytest.skip(f"{ARM} is not installed")
    torch = find_torch()
    stubs = tmp_path / "stubs.c"
    stubs.write_text(building.stub_source(needed_symbols(torch)))
    for sources in ([*building.c_sources(), stubs], building.nvml_sources()):
        library = tmp_path / "library.so"
        compiler = [ARM, *building.compiler_flags(torch), "-Werror", "-Wsign-compare", "-Wcast-align"]
        output = ["-shared", "-Wl,-z,defs", "-o", str(library), "-lpthread", "-ldl"]
        done = subprocess.run(
            [*compiler, '-DNC_VERSION="test"', *map(str, sources), *output], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert library.read_bytes()[18:20] == b"\xb7\x00"  # EM_AARCH64


FREES = """
import random
MIB = 1 << 20
gpu.nanocheck_computed.argtypes = [c_void_p, c_size_t, c_int]
gpu.cudaFree.argtypes = [c_void_p]
def known(at):
    return gpu.nanocheck_known(at, at, 512)
chosen, held, wrong = random.Random(1), {}, 0
for _ in range(300):
    if len(held) < 12:
        size, p = chosen.choice((2, 4, 6, 14, 16, 18, 38)) * MIB, c_void_p()
        assert gpu.cudaMalloc(byref(p), c_size_t(size)) == 0
        wrong += any(known(p.value + at) for at in range(0, size, MIB))
        gpu.nanocheck_computed(p, size, 0)
        held[p.value] = size
    else:
        gone = chosen.choice(list(held))
        size = held.pop(gone)
        assert gpu.cudaFree(gone) == 0
        wrong += any(known(gone + at) for at in range(0, size, MIB))
    wrong += not all(known(one + at) for one, size in held.items() for at in (0, size - MIB, size - 512))
print(wrong)
"""


@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_what_is_freed_is_unknown_and_nothing_else_whatever_a_page_is(page: int, tmp_path: Path) -> None:
    """On ARM a page may have 16 or 64 KiB, more than what is kept of 2 MiB of the card."""
    library = tmp_path / "pages.so"
    compiler = [*building.find_compiler(), "-shared", "-fPIC", f"-DPAGE={page}", "-Wall", "-Werror"]
    subprocess.run([*compiler, str(CSRC / "pages.c"), "-o", str(library), "-ldl"], check=True)
    assert call(FREES, preload=f"{library}:") == "0"
