"""Versions of PyTorch: their order, and which of them is meant by ``2.9``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from nanocheck.core.errors import RequestError

_WANTED = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?(\+[A-Za-z0-9.]+)?")
_NUMBERS = re.compile(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(.*)")


def version_key(version: str) -> tuple[int, int, int, bool, str]:
    """By which versions are sorted: ``2.9.1`` before ``2.10.0``, a pre-release before its release.

    What is no version comes first, by its text.
    """
    found = _NUMBERS.fullmatch(version)
    if found is None:
        return -1, 0, 0, False, version
    major, minor, patch, rest = found.groups()
    return int(major), int(minor), int(patch or 0), rest[:1] in ("", "+"), rest


def public(version: str) -> str:
    """``2.14.1`` of ``2.14.1+cu130``."""
    return version.partition("+")[0]


def is_of(wanted: str, version: str) -> bool:
    """Whether an installed version is what is meant: ``2.9`` is any 2.9.x, ``2.9.1`` any build of it."""
    if "+" in wanted:
        return version == wanted
    return public(version) == wanted or (wanted.count(".") == 1 and public(version).startswith(f"{wanted}."))


def newest(wanted: str, there: Sequence[str]) -> str:
    """The newest of the versions that are there and meant.

    Raises:
        RequestError: none is; it names those that are close.
    """
    found = [each for each in there if is_of(wanted, each)]
    if found:
        return max(found, key=version_key)
    close = ", ".join(near(wanted, there)) or "none at all"
    raise RequestError(
        f"--torch {wanted}: expected a version of PyTorch that the package index has for this Python, "
        f"found {close}",
        hint="pip index versions torch   # lists them all",
    )


def near(wanted: str, there: Iterable[str], most: int = 6) -> list[str]:
    """Versions that may have been meant, the oldest first: those of the same minor, else the nearest ones."""
    key = version_key(wanted)
    known = sorted(set(there), key=version_key)
    same = [each for each in known if version_key(each)[:2] == key[:2]]
    if same:
        return same[-most:]
    spelt = set(difflib.get_close_matches(wanted, known, most))
    after = [each for each in known if version_key(each) > key][: most // 2]
    before = [each for each in known if version_key(each) < key][-(most // 2) :]
    nearest = [*before, *after]
    return sorted({*nearest, *list(spelt)[: most - len(nearest)]}, key=version_key)


def parse_list(text: str) -> tuple[str, ...]:
    """The versions of ``2.8,2.9.1``, in the order given, each once.

    Raises:
        RequestError: one is no version.
    """
    words = [each.strip() for each in text.split(",") if each.strip()]
    for word in words:
        if not _WANTED.fullmatch(word):
            raise RequestError(
                f"--torch: expected versions of PyTorch such as 2.9 or 2.9.1, found {word!r:.80}",
                hint="--torch 2.9,2.11,2.14",
            )
    return tuple(dict.fromkeys(words))
