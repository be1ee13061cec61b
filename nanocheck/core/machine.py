"""``8xh100``, ``2xrtx4090,1xrtx3090``: what ``--gpu`` says of one machine with several cards."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nanocheck.core.errors import RequestError

#: More are not in one machine; a larger world has several nodes.
MOST_CARDS = 64
#: Between the kinds of cards of a machine, and between the cards of several questions.
BETWEEN = ","
EXAMPLE = "--gpu 8xh100, or --gpu 2xrtx4090,1xrtx3090"

_ALIKE = re.compile(r"\s*(\d{1,6})\s*x\s*(\S.*?)\s*")


@dataclass(frozen=True)
class Alike:
    """So many cards of one kind; ``gpu``: an id of the catalog."""

    cards: int
    gpu: str

    def __str__(self) -> str:
        return f"{self.cards}x{self.gpu}"


def machine_of(text: str) -> tuple[Alike, ...] | None:
    """The cards of one machine, in its own order; None: the text names cards without a number, which are
    questions of their own.

    Raises:
        RequestError: some parts have a number and some have none; no cards, or too many; ``all``.
    """
    parts = text.split(BETWEEN)
    found = [_ALIKE.fullmatch(each) for each in parts]
    alike = [Alike(int(each[1]), each[2]) for each in found if each is not None]
    if not alike:
        return None
    if len(alike) < len(parts):
        without = [part for part, each in zip(parts, found, strict=True) if each is None]
        raise RequestError(
            f"--gpu {text}: expected a number before each card of a machine, found {', '.join(without)!r}",
            hint=EXAMPLE,
        )
    cards = sum(each.cards for each in alike)
    if cards > MOST_CARDS or not all(each.cards for each in alike):
        raise RequestError(
            f"--gpu {text}: expected 1 to {MOST_CARDS} cards in a machine, found {cards}", hint=EXAMPLE
        )
    if any(each.gpu == "all" for each in alike):
        raise RequestError(f"--gpu {text}: expected a card of the catalog after x, found all", hint=EXAMPLE)
    return tuple(alike)
