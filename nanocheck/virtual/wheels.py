"""The installed CUDA build of PyTorch: its version, its libraries, NVIDIA's headers. Nothing is imported."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nanocheck.core.errors import MachineError

_INSTALL = "pip install --force-reinstall torch   # the Linux build from the package index is the CUDA one"


@dataclass(frozen=True)
class Wheels:
    """Where the installed torch and NVIDIA's wheels lie.

    Attributes:
        torch: the ``torch`` package folder.
        version: such as ``2.14.1+cu130``.
        cuda: such as ``13.0``.
        nvidia: folders of the ``nvidia`` namespace package (several on some installations).
    """

    torch: Path
    version: str
    cuda: str
    nvidia: tuple[Path, ...]

    @cached_property
    def torch_libraries(self) -> list[Path]:
        """PyTorch's own shared objects."""
        return sorted((self.torch / "lib").glob("*.so*"))

    @cached_property
    def nvidia_libraries(self) -> list[Path]:
        """NVIDIA's shared objects, those of every component."""
        return sorted(path for folder in self.nvidia for path in folder.glob("*/lib/*.so*"))

    @cached_property
    def include_folders(self) -> list[Path]:
        """Folders to compile against; Triton's carries ``cuda.h`` and ``crt/`` where the others lack them."""
        folders = [
            path for folder in self.nvidia for path in sorted(folder.glob("*/include")) if path.is_dir()
        ]
        triton = self.torch.parent / "triton" / "backends" / "nvidia" / "include"
        return [*folders, triton]


def find_wheels() -> Wheels:
    """The CUDA build of torch that this interpreter would import.

    Raises:
        MachineError: no torch, a CPU-only or ROCm build, or NVIDIA's wheels are missing.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise MachineError("expected an installed PyTorch, found none", hint="pip install torch")
    torch = Path(next(iter(spec.submodule_search_locations)))
    version, cuda = _read_version(torch / "version.py")
    if cuda is None:
        raise MachineError(
            f"expected a CUDA build of PyTorch, found torch {version} without CUDA; the virtual GPU runs "
            "PyTorch's own CUDA code and cannot do without it",
            hint=_INSTALL,
        )
    nvidia = importlib.util.find_spec("nvidia")
    folders = tuple(Path(each) for each in (nvidia.submodule_search_locations or ())) if nvidia else ()
    wheels = Wheels(torch, version, cuda, folders)
    if not any("cudart" in path.name for path in wheels.nvidia_libraries):
        raise MachineError(
            f"torch {version} is installed, but the nvidia-* wheels it came with are not beside it",
            hint=_INSTALL,
        )
    return wheels


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
