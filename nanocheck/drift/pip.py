"""What is asked of pip: which versions there are, and an environment with one of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.torch_versions import is_of, newest

_LIST = "Available versions:"
_TAIL = 1500  # characters of pip's messages that are shown
#: Builds by their label; what has none is, on Linux, the CUDA build of the package index.
_WITHOUT_CUDA = ("+cpu", "+rocm", "+xpu")


def versions(python: Path) -> tuple[str, ...]:
    """Versions of torch that the package index offers this Python, as pip is set up here.

    Raises:
        MachineError: pip is not there, or the index does not answer.
    """
    command = [str(python), "-P", "-m", "pip", "--disable-pip-version-check", "index", "versions", "torch"]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    found = parse_versions(done.stdout)
    if done.returncode or not found:
        raise MachineError(
            f"expected versions of torch from the package index, found:\n{_end(done.stderr or done.stdout)}",
            hint="pip index versions torch   # says the same; --python VERSION=PATH needs no index",
        )
    return found


def parse_versions(said: str) -> tuple[str, ...]:
    """Those of ``pip index versions torch``, in its order."""
    line = next((each for each in said.splitlines() if each.startswith(_LIST)), "")
    return tuple(each.strip() for each in line.removeprefix(_LIST).split(",") if each.strip())


def chosen(wanted: str, there: Sequence[str]) -> str:
    """The newest build with CUDA of the version that is meant.

    Raises:
        RequestError: there is no such version, or it has no build with CUDA.
    """
    with_cuda = [each for each in there if not any(label in each for label in _WITHOUT_CUDA)]
    if any(is_of(wanted, each) for each in there) and not any(is_of(wanted, each) for each in with_cuda):
        raise RequestError(
            f"--torch {wanted}: expected a build with CUDA on the package index, found "
            f"{', '.join(each for each in there if is_of(wanted, each))}; the virtual GPU runs PyTorch's own "
            "CUDA code and cannot do without it",
            hint=f"--python {wanted}=/path/to/python of an environment that has one",
        )
    return newest(wanted, with_cuda)


def make(root: Path, requirements: Sequence[str]) -> None:
    """An environment with these requirements, of the Python that runs this.

    Raises:
        MachineError: it cannot be made.
    """
    _run([sys.executable, "-P", "-m", "venv", root], "an environment")
    _run(
        [
            *(root / "bin" / "python", "-P", "-m", "pip", "install", "--disable-pip-version-check"),
            # A copy of the wheels in pip's cache would take half as much again.
            *("--quiet", "--progress-bar", "off", "--no-input", "--no-cache-dir"),
            *requirements,
        ],
        f"{' '.join(requirements)} to be installed",
    )


def _run(command: Sequence[object], what: str) -> None:
    done = subprocess.run(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise MachineError(
            f"expected {what}, found (exit code {done.returncode}):\n{_end(done.stdout)}",
            hint="--python VERSION=PATH uses an environment that is there",
        )


def _end(text: str) -> str:
    return text.strip()[-_TAIL:]
