"""What differs between the two sides of a case. Equal means: to the byte."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nanocheck.verify.observed import Observed


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure that the two sides do not share.

    Attributes:
        figure: such as ``backward reserved``.
        real, virtual: bytes, a count, or words; None where a side has none.
        virtual_most: what the virtual card says is a range, from ``virtual`` to this.
    """

    figure: str
    real: int | str | None
    virtual: int | str | None
    virtual_most: int | None = None

    @property
    def by(self) -> int | None:
        """How much more the virtual side has, or how far outside of its range the real one is."""
        if not isinstance(self.real, int) or not isinstance(self.virtual, int):
            return None
        most = self.virtual if self.virtual_most is None else self.virtual_most
        nearest = min(max(self.real, self.virtual), most)
        return nearest - self.real


def compare(real: Observed, virtual: Observed, *, context_surplus_bytes: int) -> tuple[Difference, ...]:
    """
    Args:
        context_surplus_bytes: by how much CUDA itself may take more than a virtual card takes: the catalog
            has it as a range, of which that is the least.
    """
    return tuple(_differences(real, virtual, context_surplus_bytes))


def _differences(real: Observed, virtual: Observed, surplus: int) -> Iterator[Difference]:
    if real.outcome != virtual.outcome:
        yield Difference(figure="outcome", real=real.outcome.value, virtual=virtual.outcome.value)
    if not real.is_answer or not virtual.is_answer:
        return  # its figures are of an unknown part of the run
    # Usable memory is the card's, not the case's: it is compared once, see ``VerifyFile.card_differences``.
    ours = {each.phase: each for each in virtual.phases}
    theirs = {each.phase: each for each in real.phases}
    for phase in dict.fromkeys((*theirs, *ours)):
        one, other = theirs.get(phase), ours.get(phase)
        for name in ("allocated", "reserved"):
            sizes = [None if each is None else getattr(each, f"{name}_bytes") for each in (one, other)]
            if sizes[0] != sizes[1]:
                yield Difference(figure=f"{phase} {name}", real=sizes[0], virtual=sizes[1])
    for field, figure in _EXACT.items():
        found = getattr(real, field), getattr(virtual, field)
        # What a side could not see is no difference.
        if None not in found and "unknown" not in found and found[0] != found[1]:
            yield Difference(figure=figure, real=found[0], virtual=found[1])
    for field, figure in _RANGES.items():
        size, least = getattr(real, field), getattr(virtual, field)
        if size is not None and least is not None and not least <= size <= least + surplus:
            yield Difference(figure=figure, real=size, virtual=least, virtual_most=least + surplus)


_EXACT = {
    "allocated_bytes": "allocated",
    "reserved_bytes": "reserved",
    "own_allocated_bytes": "allocated, by the script",
    "own_reserved_bytes": "reserved, by the script",
    "attention": "attention",
    "retries": "retries",
    "out_of_memory": "out of memory",
}
_RANGES = {"process_bytes": "process", "context_bytes": "context"}
