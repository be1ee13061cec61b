"""Text of a run as it may be passed on: without paths, and without names of people and machines."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from nanocheck.core.scrub import scrub

#: What stands where something was taken out.
PATH, NAME = "<path>", "<name>"
#: Longer first lines of an error are cut.
_MOST = 300
#: Quoted, a path may hold spaces; else it ends at one, or at what a sentence puts behind it.
_PATHS = re.compile(r"""(["'`])[^"'`\n]*/[^"'`\n]*\1|(?<![\w/.<])[\w.~$-]*/[^\s"'`,;:()\[\]{}<>|]*""")
#: Names that are nobody's.
_EVERYBODY = ("root", "user", "localhost", "python", "torch", "cuda", "nanocheck")
#: A path from the root of a disk, of a home or a share: in its quotes with the spaces in it, else up to one.
#: Division, and what stands behind the host of an address, is none.
_FIRST = r"""(?=[^\s/\\"'`,;:()\[\]{}<>|=*])"""
_ROOT = rf"(?:file:)?(?:~[\w.-]*/|[A-Za-z]:[/\\]+|(?<!:)/{{2,}}|(?<=file:)/{{2,}}|/|\\\\){_FIRST}"
_BEFORE = r"(?:(?<![\w.<>/\\~-])|(?<=\s-[A-Za-z])|(?<=^-[A-Za-z]))"
_ABSOLUTE = re.compile(
    rf"""(?P<quote>["'`]){_ROOT}[^"'`\n]*(?P=quote)|{_BEFORE}{_ROOT}[^\s"'`,;:()\[\]{{}}<>|]*"""
)
#: What may stay of such a path: the program or the script at its end.
_LAST = re.compile(
    r"(?:python|pypy|pytest|torchrun|accelerate|bash|sh|make|uv)[\d.]*|[\w.+-]+\.(?:py|sh|ipynb)"
)


def anonymous(text: str, names: Sequence[str] | None = None) -> str:
    """The first line, without paths and names; one line that can be shown.

    Args:
        names: what else must not stand there; by default the machine's name, its user's, and folders that
            say something of either.
    """
    line = next(iter(scrub(text).strip().splitlines()), "")
    # The longest first: a name can be the beginning of another.
    known = sorted(known_names() if names is None else names, key=len, reverse=True)
    for name in known:
        if name.startswith("/"):
            line = re.sub(rf"{re.escape(name)}[^\s\"'`,;:()<>]*", PATH, line)
    line = _PATHS.sub(_without, line)
    for name in known:
        line = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", NAME, line, flags=re.IGNORECASE)
    return line if len(line) <= _MOST else line[:_MOST] + "..."


def _without(found: re.Match[str]) -> str:
    """``<path>``, in its quotes; what only has a stroke between two words, such as ``and/or``, stays."""
    text, quote = found[0], found[1] or ""
    inner = text.strip(quote) if quote else text
    if not quote and re.fullmatch(r"[A-Za-z0-9]+/[A-Za-z0-9]+", inner):
        return text
    return f"{quote}{PATH}{quote}"


def portable(text: object, names: Sequence[str] | None = None) -> str:
    """A text as one line that reads the same on every machine: relative paths stay, and absolute ones below
    this folder become such; of others a program's or script's own name stays. Names are taken out as
    ``anonymous`` does.
    """
    line = " ".join(scrub(text).split())
    known = sorted(known_names() if names is None else names, key=len, reverse=True)
    here = str(Path.cwd())
    if here != "/":
        line = re.sub(rf"(?<![\w.<>/-]){re.escape(here)}/(?=[\w.])", "", line)
    line = _ABSOLUTE.sub(_shortened, line)
    for name in known:
        if not name.startswith("/"):
            line = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", NAME, line, flags=re.IGNORECASE)
    return line


def _shortened(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    last = re.split(r"[/\\]", found[0].strip(quote) if quote else found[0])[-1]
    return f"{quote}{last if _LAST.fullmatch(last) else PATH}{quote}"


def known_names() -> tuple[str, ...]:
    """Of this machine, its user and the folders that are theirs."""
    found = {platform.node(), platform.node().partition(".")[0]}
    found |= {os.environ.get(name, "") for name in ("USER", "LOGNAME", "HOSTNAME")}
    found |= {str(Path.home()), str(Path.cwd()), Path.home().name}
    with contextlib.suppress(OSError, KeyError):  # a number without a name, as in some containers
        found.add(getpass.getuser())
    return tuple(sorted(each for each in found if len(each) > 1 and each not in (*_EVERYBODY, "/root")))
