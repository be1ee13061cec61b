"""Lines of ours beside a script's output."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """One line of ours beside the script's output; on stderr, so that its stdout stays what it was.

    A terminal that is gone (SIGHUP) or a reader that left must not cost the answer.
    """
    with contextlib.suppress(OSError, ValueError):
        print(f"nanocheck: {text}", file=sys.stderr, flush=True)
