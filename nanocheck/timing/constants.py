"""The constants of the model, each with its meaning, unit, source and the rows it was fitted to."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nanocheck.core.strict_text import parse_toml

FILE = Path(__file__).with_name("constants.toml")


@dataclass(frozen=True, kw_only=True)
class Constant:
    """``rows`` counts what it was fitted to; 0 where ``source`` states the value itself."""

    value: float
    unit: str
    meaning: str
    source: str
    rows: int


class Constants(Mapping[str, float]):
    """Values by name; a name may end in a generation, ``energy_tensor 8.9``."""

    def __init__(self, found: Mapping[str, Constant]) -> None:
        self.described = dict(found)

    def __getitem__(self, name: str) -> float:
        return self.described[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.described)

    def __len__(self) -> int:
        return len(self.described)

    def __hash__(self) -> int:  # by identity: results are kept for a set of constants
        return id(self)

    def of(self, name: str, generation: str) -> float:
        """The constant of a generation; of the nearest one before it, where there is none of its own."""
        known = {float(key.split(" ")[1]): key for key in self if key.startswith(name + " ")}
        before = [each for each in known if each <= float(generation)]
        return self[known[max(before) if before else min(known)]]


def parse(data: bytes) -> Constants:
    """Raises:
    ValueError: no such TOML; KeyError, TypeError: a constant lacks something.
    """
    return Constants({name: Constant(**table) for name, table in parse_toml(data).items()})


@functools.cache
def load() -> Constants:
    """Those that ship with nanocheck."""
    return parse(FILE.read_bytes())
