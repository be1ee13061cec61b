"""Whose code a frame runs. Shared by the observer and by those who read its journals; imports nothing."""

from __future__ import annotations

from collections.abc import Sequence


def is_library(file: str, libraries: Sequence[str]) -> bool:
    """Whether a file is PyTorch's, Python's or nanocheck's own.

    Installed packages are the script's libraries, but a line in transformers says more than a line in torch,
    so they do not count.

    Args:
        file: as the interpreter names it.
        libraries: PyTorch's folder, the observer's, and the standard library's last.
    """
    if file.startswith("<"):
        return True
    if any(file.startswith(each + "/") for each in libraries[:-1]):
        return True
    standard = file.startswith(libraries[-1] + "/")
    return standard and "/site-packages/" not in file and "/dist-packages/" not in file
