"""Which phases the started script's own code names, whether or not it has come to them. Nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FrameType

#: Names of attributes, functions and variables that begin so, by phase.
_BEGINNINGS = {"eval": ("eval", "validat"), "save": ("save",)}
#: These are about autograd's tensors.
_OTHERS = ("save_for_backward", "saved_tensors", "save_on_cpu")


def phases_named() -> tuple[str, ...]:
    """Of ``core.coverage.PHASES``; none where the script's code is not on this thread's stack."""
    main = vars(sys.modules["__main__"])
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not (frame.f_code.co_name == "<module>" and frame.f_globals is main):
        frame = frame.f_back
    names = set() if frame is None else {name for name in _names(frame.f_code) if name not in _OTHERS}
    return tuple(
        phase
        for phase, beginnings in _BEGINNINGS.items()
        if any(name.startswith(beginnings) for name in names)
    )


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each.co_name
            yield from _names(each)
