"""nanocheck: will this GPT training configuration run on my GPU, and did this change break it?

``nanocheck.run(["python", "train.py"], gpu="rtx4070")`` and ``nanocheck.measure(function, gpu="rtx4070")``
answer in Python what ``nanocheck run`` answers on a terminal: see ``nanocheck/api``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanocheck.api import Answer, measure, run

__version__ = "0.2.0"
__all__ = ["Answer", "__version__", "measure", "run"]


def __getattr__(name: str) -> object:
    # The observer imports this package in the script's Python, which has nothing of what these need.
    if name in ("Answer", "measure", "run"):
        from nanocheck import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
