"""The user's cache: the compiled virtual GPU, and what Inductor and Triton compiled for it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nanocheck.core.errors import MachineError
from nanocheck.core.messages import say
from nanocheck.virtual.trust import doubt

#: Its folders; others than this user must not be able to write any.
ROOMS = ("virtual", "inductor", "triton", "environments")
#: ``LD_PRELOAD`` is split at spaces and colons, and the loader replaces ``$ORIGIN`` and its like.
_ODD = re.compile(r"[\s:$]")
#: Where links to such paths may lie, beside the temporary folder.
_USUAL = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


def cache_folder() -> Path:
    """``$NANOCHECK_CACHE``, else ``nanocheck`` in the user's cache folder (XDG).

    Where another user could write it, a folder of this user's own instead, and a line on stderr that says
    why. A path that the loader would take apart is given as a link without such characters.

    Raises:
        MachineError: no folder is this user's own, or none has a name that the loader takes whole.
    """
    folder, doubts = find_cache()
    if doubts:
        _say_once(f"{doubts[0]}: not loaded from there; the cache is {folder} instead")
    return without_odd_characters(folder)


def find_cache() -> tuple[Path, list[str]]:
    """The cache folder by its own name, and why those that were asked for before it are not taken.

    Raises:
        MachineError: no folder is this user's own.
    """
    doubts: list[str] = []
    for folder in _candidates():
        found = next(filter(None, (doubt(folder / room) for room in ROOMS)), None)
        if found is None:
            return folder.resolve(), doubts
        doubts.append(found)
    raise MachineError(
        f"expected a cache folder that only you can write, found {'; '.join(dict.fromkeys(doubts))}",
        hint="set NANOCHECK_CACHE to a folder that nobody else can write",
    )


def make_room(folder: Path) -> Path:
    """A folder of the cache, made where it is missing so that only this user can write it.

    Raises:
        OSError: it cannot be made.
    """
    for each in (*reversed(folder.parents), folder):
        if not each.is_dir():
            each.mkdir(mode=0o755, exist_ok=True)
    return folder


def without_odd_characters(folder: Path) -> Path:
    """The folder, or a link to it whose path has no space, colon or dollar.

    Raises:
        MachineError: no folder for such a link is this user's own.
    """
    if not _ODD.search(str(folder)):
        return folder
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    for base in dict.fromkeys((Path(tempfile.gettempdir()), *_USUAL)):
        links = base / f"nanocheck-{os.geteuid()}"
        if not _ODD.search(str(links)) and _make_private(links) and _link(links / name, folder):
            return links / name
    raise MachineError(
        f"expected a cache folder without spaces, colons and dollars in its path, found {folder}, and no "
        "folder for a link to it",
        hint="set NANOCHECK_CACHE to a folder without them",
    )


def _candidates() -> Iterator[Path]:
    chosen = os.environ.get("NANOCHECK_CACHE")
    if chosen:
        yield Path(chosen).absolute()
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "nanocheck"
    private = Path(tempfile.gettempdir()) / f"nanocheck-{os.geteuid()}"
    if _make_private(private):
        yield private / "cache"


def _link(link: Path, folder: Path) -> bool:
    """Whether the link leads to the folder; it is made where it is missing."""
    with contextlib.suppress(OSError):  # that the cache cannot be written is told by whoever writes it
        make_room(folder)
    with contextlib.suppress(OSError):  # FileExistsError: another process was faster, its link is the same
        link.symlink_to(folder)
    return link.is_symlink() and link.readlink() == folder


def _make_private(folder: Path) -> bool:
    """Whether a folder is this user's alone; it is made where it is missing."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    private = stat.S_ISDIR(found.st_mode) and found.st_mode & 0o077 == 0
    return found.st_uid == os.geteuid() and private and doubt(folder) is None


@functools.cache
def _say_once(text: str) -> None:
    say(text)
