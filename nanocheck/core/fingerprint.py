"""What can change a result without changing its configuration or its device."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

#: Distributions whose version can move a peak.
_DISTRIBUTIONS = ("torch", "triton")
_VARIABLES = ("PYTORCH_", "TORCH", "CUDA_", "CUBLAS_", "NVIDIA_", "TRITON_", "NANOCHECK_")
_SOURCES = (".py", ".toml", ".c", ".h")


def fingerprint() -> dict[str, str]:
    """Names and values to compare: a journal of another fingerprint must not answer for this run.

    nanocheck's own sources are among them: a change of the training step is exactly what a baseline is
    there to notice, and an old journal would hide it.
    """
    found = {"python": platform.python_version(), "os": platform.platform(), "nanocheck": _source_hash()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    found |= {name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)}
    return found


def _source_hash() -> str:
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SOURCES and path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
