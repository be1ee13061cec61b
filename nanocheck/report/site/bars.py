"""A card's picture: the peak of every setting as a bar, against the memory that the card has."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.table import TableCard
from nanocheck.report.html.format import percent

#: The card ends here, as a fraction of the picture; what asks for more than the rest is cut, and says so.
_CARD_END = 0.7


@dataclass(frozen=True)
class Bar:
    """Positions and lengths are texts for SVG, fractions of the picture's width.

    Attributes:
        context, allocated, reserved: the card's own share, tensors, and what the allocator holds beside them;
            one behind the other, from the left.
        cut: the bar goes on beyond the picture.
    """

    context: str
    allocated: str
    reserved: str
    allocated_from: str
    reserved_from: str
    end: str
    cut: bool


def bar(card: TableCard, *, allocated_bytes: int, reserved_bytes: int) -> Bar:
    """The bar of one cell; where it did not fit, of what it asked for."""
    whole = card.usable_bytes / _CARD_END
    context = min(1.0, card.context_most_bytes / whole)
    allocated = min(1.0 - context, allocated_bytes / whole)
    beside = max(0, reserved_bytes - allocated_bytes) / whole
    reserved = min(1.0 - context - allocated, beside)
    return Bar(
        context=percent(context),
        allocated=percent(allocated),
        reserved=percent(reserved),
        allocated_from=percent(context),
        reserved_from=percent(context + allocated),
        end=percent(_CARD_END),
        cut=(card.context_most_bytes + max(allocated_bytes, reserved_bytes)) / whole > 1.0,
    )
