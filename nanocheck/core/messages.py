"""Lines of ours beside a script's output."""

from __future__ import annotations

import contextlib
import sys

from nanocheck.core.scrub import disarm, scrub


def say(text: str) -> None:
    """One line of ours beside the script's output; on stderr, so that its stdout stays what it was.

    What a script or a user brought into it is shown and does nothing. A terminal that is gone (SIGHUP) or a
    reader that left must not cost the answer.
    """
    with contextlib.suppress(OSError, ValueError):
        print(disarm(f"nanocheck: {scrub(text)}"), file=sys.stderr, flush=True)
