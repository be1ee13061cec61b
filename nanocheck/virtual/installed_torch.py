"""An installed CUDA build of PyTorch: its version, the libraries it links, NVIDIA's headers.

It may belong to another environment than ours, and to another Python: nothing of it is imported.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nanocheck.core.errors import MachineError
from nanocheck.virtual.linked import linked_libraries

_INSTALL = "pip install --force-reinstall torch   # the Linux build from the package index is the CUDA one"
#: Libraries that talk to the GPU. NVRTC, nvJitLink, cuFile and CUPTI work on the host and stay real.
DEVICE_LIBRARIES = (
    "libcublas",
    "libcublasLt",
    "libcudart",
    "libcudnn",
    "libcufft",
    "libcurand",
    "libcusolver",
    "libcusparse",
    "libcusparseLt",
    "libnccl",
    "libnvshmem_host",
)
#: Between them they link all the others.
_LINKING = ("libtorch_cuda.so", "libtorch_cuda_linalg.so", "libtorch_python.so")
#: What the virtual GPU is compiled with.
_HEADERS = ("cuda.h", "cuda_runtime_api.h", "library_types.h", "cudnn_graph.h", "nccl.h")
#: Where NVIDIA's installer puts the toolkit.
TOOLKIT = "/usr/local/cuda"
#: Where a compiler looks by itself, after all others: cuDNN and NCCL lie there in NVIDIA's containers.
SYSTEM_INCLUDES = (
    Path("/usr/local/include"),
    Path(f"/usr/include/{platform.machine()}-linux-gnu"),
    Path("/usr/include"),
)


@dataclass(frozen=True)
class InstalledTorch:
    """Where an installed torch and what it needs lie.

    Attributes:
        folder: the ``torch`` package.
        version: such as ``2.14.1+cu130``.
        cuda: such as ``13.0``.
        search_path: ``sys.path`` of the Python that imports it.
        environment: of the process that loads it; ``LD_LIBRARY_PATH`` and ``CUDA_HOME`` count.
    """

    folder: Path
    version: str
    cuda: str
    search_path: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def torch_libraries(self) -> list[Path]:
        """PyTorch's own shared objects."""
        return sorted((self.folder / "lib").glob("*.so*"))

    @cached_property
    def cuda_libraries(self) -> list[Path]:
        """NVIDIA's libraries that talk to a GPU, as the loader finds them, or else as torch itself does: in
        wheels somewhere on the search path (``torch/__init__.py``, ``_preload_cuda_deps``).
        """
        linked = linked_libraries(
            (self.folder / "lib" / name for name in _LINKING if (self.folder / "lib" / name).exists()),
            self.environment,
        )
        wanted = {name: path for name, path in linked.items() if name.startswith(DEVICE_LIBRARIES)}
        return sorted({path for name in wanted if (path := wanted[name] or self._in_wheels(name))})

    def _in_wheels(self, name: str) -> Path | None:
        return next((path for folder in self._nvidia for path in sorted(folder.glob(f"*/lib/{name}"))), None)

    @cached_property
    def _nvidia(self) -> list[Path]:
        """Folders of the ``nvidia`` namespace package; several on some installations."""
        places = [self.folder.parent, *self.search_path]
        return list(dict.fromkeys(each / "nvidia" for each in places if (each / "nvidia").is_dir()))

    @cached_property
    def include_folders(self) -> list[Path]:
        """Folders to compile against: beside the libraries first, so that headers and libraries agree.

        Raises:
            MachineError: a header is in none of them.
        """
        found = list(dict.fromkeys(each for each in self._include_places() if each.is_dir()))
        lacking = _lacking([*found, *SYSTEM_INCLUDES])
        if lacking:
            ours = find_torch()
            if ours.folder != self.folder and ours.cuda.split(".")[0] == self.cuda.split(".")[0]:
                found += ours.include_folders  # the libraries' interface is that of CUDA's major version
                lacking = _lacking([*found, *SYSTEM_INCLUDES])
        if lacking:
            major = self.cuda.split(".")[0]
            raise MachineError(
                f"expected NVIDIA's headers for CUDA {self.cuda} beside torch {self.version}, in "
                f"{self.folder.parent}; found no {', '.join(lacking)}",
                hint=f"pip install nvidia-cuda-runtime-cu{major} nvidia-cudnn-cu{major} nvidia-nccl-cu{major}"
                "   # there, or set CUDA_HOME to a toolkit",
            )
        return found

    def _include_places(self) -> Iterator[Path]:
        for library in self.cuda_libraries:
            root = library.parent.parent
            if root != Path("/usr"):  # the compiler looks there by itself
                yield root / "include"
                yield from sorted(root.glob("targets/*/include"))
        for folder in self._nvidia:
            yield from sorted(folder.glob("*/include"))
        for place in (self.folder.parent, *self.search_path):
            # Triton's carries cuda.h and crt/ where the others lack them.
            yield place / "triton" / "backends" / "nvidia" / "include"
        for home in (self.environment.get("CUDA_HOME"), self.environment.get("CUDA_PATH"), TOOLKIT):
            if home:
                yield Path(home) / "include"


def _lacking(folders: list[Path]) -> list[str]:
    return [name for name in _HEADERS if not any((each / name).is_file() for each in folders)]


def find_torch() -> InstalledTorch:
    """The CUDA build of torch that this interpreter would import.

    Raises:
        MachineError: no torch, a CPU-only or ROCm build, or NVIDIA's libraries are missing.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise MachineError("expected an installed PyTorch, found none", hint="pip install torch")
    return torch_in(Path(next(iter(spec.submodule_search_locations))), sys.path)


def torch_in(
    folder: Path, search_path: Sequence[str], environment: Mapping[str, str] | None = None
) -> InstalledTorch:
    """The CUDA build of torch in a folder.

    Raises:
        MachineError: a CPU-only or ROCm build, or NVIDIA's libraries are missing.
    """
    version, cuda = _read_version(folder / "version.py")
    if cuda is None:
        raise MachineError(
            f"expected a CUDA build of PyTorch, found torch {version} without CUDA; the virtual GPU runs "
            "PyTorch's own CUDA code and cannot do without it",
            hint=_INSTALL,
        )
    found = InstalledTorch(
        folder,
        version,
        cuda,
        tuple(Path(each) for each in search_path if each),
        dict(os.environ if environment is None else environment),
    )
    if not any("cudart" in path.name for path in found.cuda_libraries):
        raise MachineError(
            f"torch {version} is installed, but the CUDA libraries it is linked with are not found",
            hint=_INSTALL,
        )
    return found


def _read_version(path: Path) -> tuple[str, str | None]:
    """``__version__`` and ``cuda`` of torch/version.py, read as text: importing it would import torch."""
    found: dict[str, str | None] = {"__version__": "unknown", "cuda": None}
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise MachineError(
            f"cannot read {path.name} of the installed torch: {error}", hint=_INSTALL
        ) from error
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id in found and isinstance(value, ast.Constant):
            found[target.id] = None if value.value is None else str(value.value)
    return str(found["__version__"]), found["cuda"]
