"""Compiling the virtual GPU: once per installed torch and state of the sources, into the user's cache."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from nanocheck.core.errors import MachineError
from nanocheck.core.full_disk import writing_hint
from nanocheck.core.messages import say
from nanocheck.virtual.cache import cache_folder, make_room
from nanocheck.virtual.installed_torch import InstalledTorch
from nanocheck.virtual.symbols import needed_symbols
from nanocheck.virtual.trust import doubt

_SOURCES = Path(__file__).parent / "csrc"
#: The one library that stands in for five, under the driver's name: whoever opens the driver finds it.
LIBRARY = "libcuda.so.1"
NVML = "libnvidia-ml.so.1"
#: The clock that a program is shown; preloaded where it was asked for.
CLOCK = "libnanocheck-clock.so.1"
_LIBRARIES = (LIBRARY, NVML, CLOCK)


def source_hash() -> str:
    """Identity of the virtual GPU: its C sources and the code that decides what is stubbed."""
    files = {path.relative_to(_SOURCES).as_posix(): path for path in _SOURCES.rglob("*.[ch]")}
    files["symbols.py"] = Path(__file__).with_name("symbols.py")
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def build_library(torch: InstalledTorch) -> Path:
    """Folder with the compiled libraries; built if it is not there yet, or if another user could change it.

    Raises:
        MachineError: no C compiler, a compiler that fails, or a cache that cannot be written.
    """
    version = source_hash()
    libraries = "".join(f"{path.name} {path.stat().st_size}\n" for path in torch.cuda_libraries)
    library_hash = hashlib.sha256(libraries.encode()).hexdigest()[:8]
    name = f"torch-{torch.version}-{library_hash}-{version}"
    room = cache_folder() / "virtual"
    folder = room / name
    found = _doubt(folder)
    if found is not None:  # only this user can write the room: what is built in it beside is his own
        say(f"{found}: not loaded; compiled anew beside it")
        folder = room / f"{name}-own"
        found = _doubt(folder)
    if found is not None:
        raise MachineError(
            f"expected a compiled virtual GPU that only you can change, found: {found}",
            hint=f"rm -r {folder}",
        )
    if not _is_whole(folder):
        _build(torch, version, folder)
    return folder


def _is_whole(folder: Path) -> bool:
    return all((folder / name).exists() for name in _LIBRARIES)


def _doubt(folder: Path) -> str | None:
    """Why what is there must not be loaded; None where nothing is there."""
    return next(filter(None, (doubt(folder / name) for name in (LIBRARY, NVML))), None)


def _build(torch: InstalledTorch, version: str, folder: Path) -> None:
    compiler = find_compiler()
    try:
        make_room(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as temporary:
            work = Path(temporary) / "out"
            work.mkdir(mode=0o755)
            _compile(compiler, torch, version, work)
            for name in _LIBRARIES:  # whatever the umask: a group that may write it is not trusted
                (work / name).chmod(0o755)
            try:
                work.rename(folder)
            except OSError:  # another process was faster: its result is the same
                if not (folder / LIBRARY).exists():
                    raise
    except OSError as error:
        raise MachineError(
            f"cannot write the compiled virtual GPU to {folder.parent}: {error.strerror or error}",
            hint=f"{writing_hint(folder.parent, error)}, or set NANOCHECK_CACHE to another folder",
        ) from error


def find_compiler() -> list[str]:
    """The system's C compiler and the arguments it always gets: ``$CC``, else cc, gcc or clang.

    Raises:
        MachineError: there is none, or ``$CC`` names none.
    """
    chosen = os.environ.get("CC", "").strip()
    if chosen:
        return _chosen_compiler(chosen)
    for name in ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return [found]
    raise MachineError(
        "expected a C compiler (cc, gcc or clang, or $CC), found none; the virtual GPU is compiled on "
        "first use",
        hint="apt-get install gcc   # or your system's package of the same",
    )


def _chosen_compiler(chosen: str) -> list[str]:
    """A program's name, with or without arguments, as ``make`` takes it."""
    try:
        words = [chosen] if shutil.which(chosen) else shlex.split(chosen)
    except ValueError:  # a quote that is never closed
        words = []
    found = shutil.which(words[0]) if words else None
    if found is None:
        raise MachineError(
            f"expected a C compiler in $CC, found {chosen!r:.200}, which is no program here",
            hint="unset CC, or name a compiler, such as CC=gcc",
        )
    return [found, *words[1:]]


def c_sources() -> list[Path]:
    """The C files of the virtual GPU, less those of the libraries beside it."""
    return sorted(set(_SOURCES.rglob("*.c")) - {*nvml_sources(), *clock_sources()})


def nvml_sources() -> list[Path]:
    """The C files of the NVML that goes with the virtual GPU."""
    return sorted((_SOURCES / "nvml").glob("*.c"))


def clock_sources() -> list[Path]:
    """The C files of the clock that a program is shown."""
    return sorted((_SOURCES / "clock").glob("*.c"))


def stub_source(symbols: Iterable[str]) -> str:
    """A C file in which each of these functions stops the run with its name.

    They are weak: whatever the sources answer wins.
    """
    lines = [f"STUB({name})" for name in symbols]
    return (
        'extern _Noreturn void nc_unimplemented(const char *) __attribute__((visibility("hidden")));\n'
        '#define STUB(name) __attribute__((weak, section("nc_stubs"))) '
        "int name(void) { nc_unimplemented(#name); }\n" + "\n".join(lines) + "\n"
    )


def compiler_flags(torch: InstalledTorch) -> list[str]:
    """What every C file is compiled with. NVIDIA's headers are the system's: their warnings are not ours."""
    includes = [flag for folder in torch.include_folders for flag in ("-isystem", str(folder))]
    return ["-std=gnu11", "-O1", "-fPIC", "-Wall", "-Wextra", f"-I{_SOURCES}", *includes]


def _compile(compiler: Sequence[str], torch: InstalledTorch, version: str, work: Path) -> None:
    stubs = work / "stubs.c"
    stubs.write_text(stub_source(needed_symbols(torch)))
    common = [*compiler, *compiler_flags(torch), f'-DNC_VERSION="{version}"', "-shared"]
    parts = zip(_LIBRARIES, ([*c_sources(), stubs], nvml_sources(), clock_sources()), strict=True)
    for library, sources in parts:
        output = ["-o", str(work / library), f"-Wl,-soname,{library}"]
        _run([*common, *output, *map(str, sources), "-lpthread", "-ldl"])
    (work / "libcuda.so").symlink_to(LIBRARY)  # Triton links against the name without a version


def _run(command: Sequence[str]) -> None:
    # What it says of a full disk is looked for below, in English.
    plain = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=plain, check=False)
    if done.returncode:
        raise MachineError(
            f"the C compiler failed on the virtual GPU (exit {done.returncode}):\n{done.stderr[-3000:]}",
            hint="free some space on the disks of the cache and of the temporary folder"
            if os.strerror(errno.ENOSPC) in done.stderr
            else "nanocheck doctor   # shows the compiler and headers that were found",
        )
