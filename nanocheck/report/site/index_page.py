"""The first page: what the table is, the question that it answers, and all its cells."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.result import Provenance
from nanocheck.core.table import Cell, How, Proof, Table
from nanocheck.core.verdict import Kind
from nanocheck.report import caveats, largest_words
from nanocheck.report.html.format import NONE, plural
from nanocheck.report.site import cells, commands, words
from nanocheck.report.site.contents import Contents, Model, Way
from nanocheck.report.site.layout import Frame, render


@dataclass(frozen=True)
class Asked:
    """A way as the form offers it: what its cells' columns say, and what asks for another batch."""

    model: Model
    way: Way
    key: str
    command: str | None
    reached: bool


def page(frame: Frame) -> str:
    contents = frame.contents
    table = contents.table
    of_card: dict[str, list[Cell]] = {each.gpu: [] for each in table.cards}
    for cell in table.cells:
        of_card[cell.gpu].append(cell)
    provenances = sorted({cell.provenance for cell in table.cells})
    return render(
        "site/index.html",
        frame=frame,
        title=f"Which GPT trainings fit which GPU: {plural(len(table.cards), 'card')}",
        rows=[cells.row(contents, cell) for cell in table.cells],
        columns=cells.COLUMNS,
        is_computed=cells.is_computed,
        numbers=cells.NUMBERS,
        choices=cells.CHOICES,
        order=[cells.verdict(each) for each in cells.ORDER],
        overview=[
            (
                card,
                commands.card_option(card.gpu, of_card[card.gpu]),
                [_best(contents, model, card.gpu) for model in contents.models],
            )
            for card in table.cards
        ],
        ways=_ways(contents),
        methods=words.lines(each.config for each in table.settings),
        proof=proof(table.proof),
        searched=largest_words.sentences(table),
        provenances=[caveats.sentence(each) for each in provenances],
        virtual={*provenances} <= {Provenance.VIRTUAL, Provenance.UNKNOWN},
        limits=caveats.limits_of_search(provenances),
        has_times=any(cell.time is not None for cell in table.cells),
        no_answer=unreached(table),
        derived=sum(cell.how is How.DERIVED for cell in table.cells),
    )


def _ways(contents: Contents) -> list[Asked]:
    return [
        Asked(
            model=model,
            way=way,
            key="|".join(
                (
                    model.name,
                    f"{way.config.block_size:,}",
                    str(way.config.accumulation),
                    *cells.way_columns(way.settings[0]),
                )
            ),
            command=commands.another_batch(_cells(contents, way)),
            reached=bool(_cells(contents, way)),
        )
        for model in contents.models
        for way in model.ways
    ]


def _cells(contents: Contents, way: Way) -> list[tuple[Cell, int]]:
    """Cells of a way, with their batches."""
    return [
        (cell, setting.config.batch)
        for setting in way.settings
        for gpu in contents.cards
        if (cell := contents.cell(setting.id, gpu)) is not None
    ]


def _best(contents: Contents, model: Model, gpu: str) -> str:
    """The largest safe batch of any way, searched where it was; else the best that any setting of it is."""
    safe = [
        contents.largest_safe.get((way.id, gpu)) if found is None else found.batch or None
        for way in model.ways
        for found in [contents.largest.get((way.id, gpu))]
    ]
    found = max((each for each in safe if each is not None), default=None)
    if found is not None:
        return f"{found:,}"
    kinds = [
        cell.verdict.kind
        for way in model.ways
        for setting in way.settings
        if (cell := contents.cell(setting.id, gpu)) is not None
    ]
    if not kinds:
        return NONE
    best = min(kinds, key=lambda kind: cells.ORDER.index(kind) if kind in cells.ORDER else len(cells.ORDER))
    # One safe setting among larger or smaller ones that are not is no largest batch.
    return cells.verdict(best) if best is not Kind.SAFE else NONE


def proof(found: Proof | None) -> str:
    """What was done to find out whether derived cells are what runs on their own cards would have said."""
    if found is None:
        return "No derived cell was checked by a run on its own card (nanocheck table --prove N does)."
    died = found.sample - found.fit
    where = "its own card" if found.sample == 1 else "their own cards"
    text = (
        f"{plural(found.sample, 'derived cell')} drawn at random (seed {found.seed}) ran on {where}: "
        f"{found.fit:,} finished and were compared to the byte, {died:,} ran out of memory. "
    )
    if not found.differences:
        return text + "Every one says what was derived."
    return text + f"{plural(len(found.differences), 'differs', 'differ')} from what was derived, see below."


def unreached(table: Table) -> int:
    """Cells that are missing since the table was stopped."""
    return len(table.settings) * len(table.cards) - len(table.cells)
