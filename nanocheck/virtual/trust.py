"""Whether somebody else could change what is loaded into this user's processes from a path.

A library that is preloaded, and Python that Inductor finds in its cache, run with all rights of this user. So
they come from folders that only this user, or the one who rules the machine anyway, can write: as ``sshd``
asks of the file with a user's keys.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

_OTHERS, _GROUP = stat.S_IWOTH, stat.S_IWGRP


def doubt(path: Path) -> str | None:
    """Why another user could change a file or folder, as a clause; None where nobody else can.

    The path itself and each folder above it is looked at, links followed: whoever may write one of them may
    put another thing in the place of the next. Those that are missing are for us to make.
    """
    own = {os.geteuid(), 0, Path("/").stat().st_uid}  # whoever has / has everything, whatever his number here
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        return f"{path}: {error}"
    for each in (real, *real.parents):
        try:
            found = each.lstat()
        except OSError:  # nothing there, or nothing that we could load or write
            continue
        problem = doubt_of(found, own)
        if problem is not None:
            return f"{each} {problem}"
    return None


def doubt_of(found: os.stat_result, own: set[int]) -> str | None:
    """The same for one file or folder alone.

    Args:
        own: numbers of the users who are trusted.
    """
    if found.st_uid not in own:
        return f"belongs to user {found.st_uid}"
    # In a sticky folder, such as /tmp, others may add, but not replace.
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return None
    if found.st_mode & _OTHERS or (found.st_mode & _GROUP and not _is_private(found.st_gid)):
        return f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _is_private(group: int) -> bool:
    """A group of this user alone: many systems give each user one, and let it write what he makes."""
    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return user.pw_gid == group and found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}
