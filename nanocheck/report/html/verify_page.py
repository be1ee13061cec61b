"""The page of a verification, without scripts."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.units import mib
from nanocheck.report import verify_words
from nanocheck.report.html.assets import asset
from nanocheck.report.html.templating import render_page
from nanocheck.report.verify_words import UNSEEN
from nanocheck.verify.observed import Observed
from nanocheck.verify.record import Row, State, VerifyFile

#: What the page says of each state; its keys are the classes of verify.css.
LEGEND = {
    State.EQUAL: "every figure that both sides have is the same to the byte, and what CUDA itself takes is "
    "inside the range that was predicted",
    State.DIFFERS: "at least one figure is another; each is named with both values",
    State.NO_ANSWER: "both sides ended in the same way, and neither says anything about memory",
    State.NOT_RUN: "a side is missing; the row says why",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A figure of one case on both sides; ``equal`` is None where a side has none."""

    figure: str
    real: str
    virtual: str
    equal: bool | None


def render(file: VerifyFile) -> str:
    """The whole page, ending in a newline. The same file gives the same bytes."""
    counts = {state: count for state, count in file.counts.items() if count}
    rows = [
        {
            "row": row,
            "lines": lines(row, file),
            "remarks": verify_words.remark(row, file),
            "cells": [_cell(row, side, name) for name in _PEAKS for side in (row.real, row.virtual)],
        }
        for row in file.rows
    ]
    return render_page(
        "verify.html",
        title=f"{file.card.name} beside its virtual twin",
        style=asset("style.css") + asset("verify.css"),
        file=file,
        rows=rows,
        real=verify_words.real_word(file),
        headline=verify_words.headline(file),
        stand_in=verify_words.STAND_IN,
        own_description=verify_words.OWN_DESCRIPTION,
        context=verify_words.context(file),
        worst=verify_words.worst_sentence(file),
        counts=counts,
        legend={state: LEGEND[state] for state in counts},
        card=_card(file),
        mib=mib,
    )


_PEAKS = ("allocated_bytes", "reserved_bytes")
_SIZES = {
    "allocated_bytes": "peak allocated",
    "reserved_bytes": "peak reserved",
    "own_allocated_bytes": "peak allocated, as the script itself read it",
    "own_reserved_bytes": "peak reserved, as the script itself read it",
    "process_bytes": "held of the card at the end",
    "context_bytes": "of that CUDA's own",
    "usable_bytes": "usable memory of the card",
}
_WORDS = {
    "attention": "attention",
    "retries": "allocator retries",
    "out_of_memory": "out of memory",
}


def lines(row: Row, file: VerifyFile) -> list[Line]:
    """Every figure of a case, phases first; bytes in full, since equal means to the byte."""
    one, other = row.real, row.virtual
    if one is None and other is None:
        return []
    found = [_line("outcome", _word(one, "outcome"), _word(other, "outcome"))]
    for phase in dict.fromkeys(each.phase for side in (one, other) if side for each in side.phases):
        for name in ("allocated", "reserved"):
            found.append(_line(f"{phase}, {name}", _phase(one, phase, name), _phase(other, phase, name)))
    for field, figure in _SIZES.items():
        if field in ("process_bytes", "context_bytes"):
            found.append(_ranged(field, figure, one, other, file))
        elif field == "usable_bytes":  # of the card, which has a table of its own
            found.append(Line(figure=figure, real=_size(one, field), virtual=_size(other, field), equal=None))
        else:
            found.append(_line(figure, _size(one, field), _size(other, field)))
    for field, figure in _WORDS.items():
        found.append(_line(figure, _word(one, field), _word(other, field)))
    seconds = [UNSEEN if side is None else f"{side.seconds:.1f} s" for side in (one, other)]
    found.append(Line(figure="wall time (never compared)", real=seconds[0], virtual=seconds[1], equal=None))
    timed = verify_words.step_time(row)
    found.append(Line(figure="a step (never compared)", real=timed or UNSEEN, virtual=UNSEEN, equal=None))
    return [each for each in found if {each.real, each.virtual} != {UNSEEN}]


def _line(figure: str, one: str, other: str) -> Line:
    equal = None if UNSEEN in (one, other) else one == other
    return Line(figure=figure, real=one, virtual=other, equal=equal)


def _word(side: Observed | None, field: str) -> str:
    value = "" if side is None else str(getattr(side, field))
    return UNSEEN if value in ("", "unknown") else value


def _size(side: Observed | None, field: str) -> str:
    value = None if side is None or not side.is_answer else getattr(side, field)
    return UNSEEN if value is None else f"{value:,}"


def _phase(side: Observed | None, phase: str, name: str) -> str:
    for each in () if side is None else side.phases:
        if each.phase == phase:
            return f"{getattr(each, f'{name}_bytes'):,}"
    return UNSEEN


def _ranged(field: str, figure: str, one: Observed | None, other: Observed | None, file: VerifyFile) -> Line:
    real, least = (None if side is None else getattr(side, field) for side in (one, other))
    if least is None:
        return Line(figure=figure, real=_size(one, field), virtual=UNSEEN, equal=None)
    most = least + file.context_most_bytes - file.context_least_bytes
    inside = None if real is None else least <= real <= most
    return Line(figure=figure, real=_size(one, field), virtual=f"{least:,} to {most:,}", equal=inside)


def _cell(row: Row, side: Observed | None, name: str) -> str:
    return verify_words.size(getattr(side, name) if side is not None and side.is_answer else None)


_CARD = {
    "capability": "compute capability",
    "multiprocessors": "streaming multiprocessors",
    "threads_per_multiprocessor": "threads of each",
    "usable_bytes": "usable memory, bytes",
    "l2_bytes": "second-level cache, bytes",
    "shared_per_block_optin_bytes": "shared memory that a block may ask for, bytes",
}


def _card(file: VerifyFile) -> list[Line]:
    """What the card says of itself beside what the catalog says of it."""
    found = []
    for name in file.card.__struct_fields__:
        one, other = getattr(file.card, name), getattr(file.virtual_card, name)
        shown = [f"{each:,}" if isinstance(each, int) else each for each in (one, other)]
        figure = _CARD.get(name, name)
        found.append(Line(figure=figure, real=shown[0], virtual=shown[1], equal=one == other))
    return found
