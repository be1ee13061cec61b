"""Pythons with a torch: which one is there, found by asking it or by reading its files; none is imported."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanocheck.core.drift import Release
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.virtual.installed_torch import InstalledTorch, torch_in

#: Said by the Python itself: a link, a ``.pth`` file or a site of its own decide what it would import.
_QUESTION = """
import importlib.util, json, platform, sys
spec = importlib.util.find_spec("torch")
folders = list(spec.submodule_search_locations or ()) if spec else []
found = {"python": platform.python_version(), "path": sys.path, "torch": folders[:1]}
print(json.dumps({**found, "numpy": importlib.util.find_spec("numpy") is not None}))
"""
_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python and the torch that it imports.

    Attributes:
        program: the file. installed: nanocheck made its environment. has_numpy: what the reference step needs
            beside torch.
    """

    program: Path
    python: str
    torch: InstalledTorch
    installed: bool = False
    has_numpy: bool = True

    @property
    def release(self) -> Release:
        """What a table says of it."""
        return Release(
            torch=self.torch.version, cuda=self.torch.cuda, python=self.python, installed=self.installed
        )

    @property
    def identity(self) -> str:
        """What can change a result: versions, and names and sizes of the libraries that are stood in for."""
        libraries = [(each.name, each.stat().st_size) for each in self.torch.cuda_libraries]
        text = json.dumps([self.torch.version, self.python, sorted(libraries)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def search_path(self) -> str:
        """``PATH`` on which its own programs come first."""
        return os.pathsep.join([str(self.program.parent), os.environ.get("PATH", os.defpath)])

    @property
    def root(self) -> Path:
        """The environment's folder."""
        return self.program.parent.parent


def interpreter(program: Path, *, installed: bool = False) -> Interpreter:
    """What a Python says of itself.

    Raises:
        RequestError: it is no Python that starts.
        MachineError: it has no torch, or none with CUDA.
    """
    # Not resolved: a link in an environment's ``bin`` is what makes it that environment's Python.
    program = Path(os.path.abspath(program))  # noqa: PTH100
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        said = subprocess.run(
            [program, "-c", _QUESTION],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env=environment,
            cwd="/",  # a folder called torch where we stand is not it
            check=True,
        ).stdout
        found = json.loads(said)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise RequestError(
            f"expected a Python at {program}, found none that answers ({type(error).__name__})",
            hint="--python 2.11=/path/to/environment/bin/python",
        ) from error
    if not found["torch"]:
        raise MachineError(
            f"expected a torch in the environment of {program}, found none",
            hint=f"{program} -m pip install torch",
        )
    torch = torch_in(Path(found["torch"][0]), found["path"])
    return Interpreter(
        program=program,
        python=found["python"],
        torch=torch,
        installed=installed,
        has_numpy=found["numpy"],
    )


def torch_of(root: Path) -> str | None:
    """The version of torch in an environment's folder, without starting its Python; ``None``: none."""
    for path in root.glob("lib/python3*/site-packages/torch/version.py"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "__version__":
                return value.strip().strip("'\"")
    return None


def environments_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Folders of environments with a torch, and its version."""
    if folder.is_dir():
        for root in sorted(folder.iterdir()):
            version = torch_of(root) if (root / "bin" / "python").exists() else None
            if version is not None:
                yield root, version
