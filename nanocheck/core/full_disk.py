"""What a full disk looks like, and what helps. Only the standard library."""

from __future__ import annotations

import errno
from pathlib import Path

#: The disk, or the user's share of it, is full, or a file may not be larger.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def writing_hint(folder: Path, error: OSError) -> str:
    """What makes a write into a folder succeed that failed with this error."""
    return f"free some space on the disk of {folder}" if error.errno in FULL else f"make {folder} writable"
