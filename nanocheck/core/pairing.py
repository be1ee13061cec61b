"""Two sides of the same thing: what stands in both and was judged, and what stands in one of them only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nanocheck.core.units import count_summary

T = TypeVar("T")


class ComparedRow(Protocol):
    """One configuration of both sides."""

    @property
    def name(self) -> str: ...
    @property
    def verdict(self) -> str: ...


R = TypeVar("R", bound=ComparedRow)


@dataclass(frozen=True, kw_only=True)
class Compared(Generic[R]):
    """Two sides, compared.

    Attributes:
        rows: of the configurations that both have, in the order of the first.
        only_before, only_after: names of the others.
        before, after: the environments.
        verdicts: every verdict and what it says, in the order in which they are count_summary.
        moving: those of them that say that something moved.
    """

    rows: tuple[R, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    before: Mapping[str, str]
    after: Mapping[str, str]
    verdicts: Mapping[str, str]
    moving: tuple[str, ...]

    @property
    def moved(self) -> bool:
        return any(row.verdict in self.moving for row in self.rows)

    @property
    def environments(self) -> list[tuple[str, str, str]]:
        """Name, before, after; ``-`` where one side does not say."""
        names = dict.fromkeys([*self.before, *self.after])
        return [(name, self.before.get(name, "-"), self.after.get(name, "-")) for name in names]

    @property
    def differences(self) -> list[tuple[str, str, str]]:
        """The environments where they differ."""
        return [each for each in self.environments if each[1] != each[2]]

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> how many, without zeros."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in self.verdicts if found[verdict]}

    @property
    def count_summary(self) -> str:
        """``14 configurations: 10 equal, 4 moved``."""
        return count_summary("configuration", self.counts)

    def unmatched(self, thing: str) -> list[str]:
        """A sentence, without its full stop, for each configuration of one side only.

        Args:
            thing: what the sides are, such as ``file``.
        """
        sides = (("first", self.only_before), ("second", self.only_after))
        return [f"{name}: only in the {which} {thing}" for which, names in sides for name in names]


def pair(
    before: Mapping[str, T], after: Mapping[str, T], compare_one: Callable[[T, T], R]
) -> tuple[tuple[R, ...], tuple[str, ...], tuple[str, ...]]:
    """Rows of what both have, names of what only the first has, and of what only the second has."""
    rows = tuple(compare_one(each, after[name]) for name, each in before.items() if name in after)
    only_before = tuple(name for name in before if name not in after)
    return rows, only_before, tuple(name for name in after if name not in before)


def plain(compared: Compared[R], names: tuple[str, str], kind: str) -> dict[str, Any]:
    """What both comparisons say in JSON, but for their rows."""
    return {
        "schema": 1,
        "kind": kind,
        "before": {"file": names[0], "environment": dict(compared.before)},
        "after": {"file": names[1], "environment": dict(compared.after)},
        "moved": compared.moved,
        "counts": compared.counts,
        "only_before": list(compared.only_before),
        "only_after": list(compared.only_after),
    }
