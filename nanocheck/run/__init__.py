"""The parent of ``nanocheck run``: starts somebody's command, ends it, asks again with other arguments.

What happens inside the command's processes is ``nanocheck.observe``'s business, what it means is
``nanocheck.attribution``'s. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """One line of ours beside the script's output; on stderr, so that its stdout stays what it was.

    A terminal that is gone (SIGHUP) or a reader that left must not cost the answer.
    """
    with contextlib.suppress(OSError, ValueError):
        print(f"nanocheck: {text}", file=sys.stderr, flush=True)
