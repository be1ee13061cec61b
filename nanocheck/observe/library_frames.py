"""Whose code a frame runs. Shared by the observer and by those who read its journals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: File, line and function.
_Frame = tuple[str, int, str]

#: Installed code that holds the loop and calls the script back, by the beginning of its path: a line there
#: says less than the script's that called it.
_LOOPS = (
    *("lightning/", "lightning_fabric/", "pytorch_lightning/", "accelerate/", "transformers/trainer"),
    *("transformers/integrations/", "transformers/modeling_utils", "trl/trainer/", "deepspeed/"),
    *("composer/", "ignite/", "fastai/", "lightning_utilities/", "torchmetrics/"),
)
_INSTALLED = ("/site-packages/", "/dist-packages/")


def is_installed(file: str) -> bool:
    """Whether a file is of a package that was installed."""
    return any(each in file for each in _INSTALLED)


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
    return standard and not is_installed(file)


def is_loop(file: str) -> bool:
    """Whether a file is of an installed training loop, such as Lightning's or transformers' Trainer."""
    for folder in _INSTALLED:
        _, found, path = file.rpartition(folder)
        if found:
            return path.startswith(_LOOPS)
    return False


def short_name(file: str) -> str:
    """The path of an installed package's file without the folder that it is installed in."""
    for folder in _INSTALLED:
        file = file.rpartition(folder)[2]
    return file


def own_frame(frames: Iterable[_Frame], libraries: Sequence[str]) -> _Frame | None:
    """The script's own frame, or that of a model it uses, innermost first; ``None`` where there is none.

    Frames of a training loop stand only where nothing of the script's lies further out.
    """
    loop: _Frame | None = None
    for frame in frames:
        if is_library(frame[0], libraries):
            continue
        if not is_loop(frame[0]):
            return frame
        loop = loop or frame
    return loop
