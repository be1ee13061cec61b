"""Why one step is slower than another: which of its kernels are new, gone, or take longer. *Modelled*.

Kernels of one name, phase and shape are one row; the number that Inductor puts behind the name of a generated
kernel counts kernels, so it is left out. What a step issues is exact; only its seconds are modelled.
"""

from __future__ import annotations

import re
from collections import defaultdict

import msgspec

from nanocheck.core.kernels import Kernel, KernelKind, KernelList
from nanocheck.timing import constants as shipped
from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constants
from nanocheck.timing.queue import timed

_NUMBER = re.compile(r"_\d+$")
_Key = tuple[KernelKind, str, str, str, str]


class KernelShare(msgspec.Struct, frozen=True, kw_only=True):
    """What all kernels of one row do in a step: seconds on the card, launches, operations, bytes moved."""

    seconds: float = 0.0
    launches: int = 0
    operations: float = 0.0
    moved_bytes: int = 0

    @property
    def issued(self) -> tuple[int, float, int]:
        """What is exact of it."""
        return self.launches, self.operations, self.moved_bytes


class KernelChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row; ``None``: that step has no such kernel. ``shape``: of a product or of attention."""

    kind: KernelKind
    phase: str
    name: str
    dtype: str
    shape: str
    before: KernelShare | None
    after: KernelShare | None

    @property
    def what(self) -> str:
        """``new``, ``gone``, ``changed``, or ``same``: what is issued is equal."""
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        return "same" if self.before.issued == self.after.issued else "changed"

    @property
    def seconds(self) -> float:
        """How much longer it takes now."""
        before, after = self.before or KernelShare(), self.after or KernelShare()
        return after.seconds - before.seconds


def changes(before: KernelList, after: KernelList, card: Card) -> tuple[KernelChange, ...]:
    """Every row of both steps, on one card, the largest change of seconds first.

    Rows that issue the same can differ in seconds, too: a board's power and L2 are shared with the others.
    """
    known = shipped.load()
    old, new = _shares(before, card, known), _shares(after, card, known)
    rows = [
        KernelChange(
            kind=kind,
            phase=phase,
            name=name,
            dtype=dtype,
            shape=shape,
            before=old.get((kind, phase, name, dtype, shape)),
            after=new.get((kind, phase, name, dtype, shape)),
        )
        for kind, phase, name, dtype, shape in dict.fromkeys([*old, *new])
    ]
    return tuple(sorted(rows, key=lambda row: (-abs(row.seconds), row.kind, row.phase, row.name, row.shape)))


def _shares(kernels: KernelList, card: Card, constants: Constants) -> dict[_Key, KernelShare]:
    found: dict[_Key, KernelShare] = defaultdict(KernelShare)
    for part, ran in zip(kernels.parts, timed(card, kernels, constants), strict=True):
        for one in ran:
            kernel, so_far = one.kernel, found[_key(one.kernel)]
            found[_key(kernel)] = KernelShare(
                seconds=so_far.seconds + one.seconds * part.times,
                launches=so_far.launches + kernel.launches * part.times,
                operations=so_far.operations + kernel.operations * part.times,
                moved_bytes=so_far.moved_bytes + (kernel.read + kernel.written) * part.times,
            )
    return dict(found)


def _key(kernel: Kernel) -> _Key:
    name = _NUMBER.sub("", kernel.name) if kernel.kind is KernelKind.TRITON else kernel.name
    return kernel.kind, kernel.phase, name, kernel.dtype, _shape(kernel)


def _shape(kernel: Kernel) -> str:
    if (one := kernel.product) is not None:
        return f"{f'{one.batch} x ' if one.batch > 1 else ''}({one.m}, {one.k}) x ({one.k}, {one.n})"
    if (looks := kernel.attention) is not None:
        return f"{looks.batch} x {looks.heads} heads, {looks.queries} x {looks.keys} x {looks.head}"
    return ""
