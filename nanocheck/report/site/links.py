"""Names of files and anchors, made from names of strangers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Longer ones are cut: file systems take 255 bytes, and people read addresses.
_MOST = 80
#: What Windows takes for devices, whatever their ending.
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)))
)


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A slug for every name: lower-case letters, digits and single dashes, no two equal.

    So none can leave its folder, none collides on a file system that knows no case, and none needs quoting
    in an address. The same names in the same order give the same slugs.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        base, number = _slug(name), 1
        slug = base
        while slug in taken:
            number += 1
            slug = f"{base}-{number}"
        taken.add(slug)
        found[name] = slug
    return found


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_MOST].strip("-") or "x"
    return f"x-{slug}" if slug in _DEVICES else slug
