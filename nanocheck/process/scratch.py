"""Folders for the time of one run, and the removal of those whose process was killed before it could.

Each holds a file that its process keeps locked: the kernel gives the lock back when the process is gone,
however it went, and the next run removes the folder. A process's number would not do: it can be another's by
then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

_PREFIX = "nanocheck-"
_OWNER = ".owner"


class Scratch:
    """A private folder in the temporary folder; ``with Scratch("run") as folder`` removes it at the end.

    Processes that are forked from this one hold the lock, too, until they execute another program.

    Args:
        kind: what it is for, a word of its name.

    Attributes:
        path: of the folder.

    Raises:
        OSError: the temporary folder cannot be written.
    """

    def __init__(self, kind: str) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-"))
        # Under its name only once it is locked, or a sweep could find it in between.
        new = self.path / f"{_OWNER}-new"
        self._lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: then nobody sweeps it, either
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(self.path / _OWNER)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def sweep() -> None:
    """Remove folders of this user's runs that no longer run."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with contextlib.suppress(OSError):  # somebody else was faster
                    _sweep_one(entry)


def _sweep_one(entry: os.DirEntry[str]) -> None:
    if not entry.is_dir(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_uid != os.geteuid():
        return
    lock = os.open(Path(entry.path) / _OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
        shutil.rmtree(entry.path, ignore_errors=True)
    finally:
        os.close(lock)
