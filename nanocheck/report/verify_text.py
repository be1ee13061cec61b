"""A verification as a terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.report.blocks import Block, Words, prose, stack, verbatim, words
from nanocheck.report.terminal_table import table
from nanocheck.report.verify_words import (
    OWN_DESCRIPTION,
    STAND_IN,
    context,
    difference,
    headline,
    real_word,
    remark,
    size,
    step_time,
    worst_sentence,
)
from nanocheck.verify.observed import Observed
from nanocheck.verify.predictions import Predictions
from nanocheck.verify.record import Row, State, VerifyFile

_STYLES = {State.EQUAL: "green", State.DIFFERS: "bold red", State.NO_ANSWER: "magenta", State.NOT_RUN: "dim"}


def render(file: VerifyFile, paths: Sequence[str]) -> list[Block]:
    """The table, what differs, and where the files are."""
    real = real_word(file)
    blocks: list[Block] = [
        prose(f"{file.card.name}: {real} beside virtual, torch {file.environment.torch}; peaks in MiB"),
        table([_cells(row, real) for row in file.rows], whole=["case", "result"]),
    ]
    said = [(row.id, line) for row in file.rows for line in remark(row, file)]
    said += [("the card itself", difference(each, real)) for each in file.card_differences]
    said += [(row.id, line) for row in file.rows if (line := step_time(row))]
    if said:
        blocks.append(
            stack(*(prose(words(name, style="bold"), f": {line}", hanging=2) for name, line in said))
        )
    closing: list[Block] = [
        prose(words(headline(file), style="bold"), f" {worst_sentence(file)}"),
        prose(f"CUDA's own memory: {context(file)}."),
    ]
    if not file.in_catalog:
        closing.append(prose(OWN_DESCRIPTION))
    if file.stand_in:
        closing.append(prose(words(STAND_IN, style="bold yellow")))
    closing += [verbatim(each, indent=2) for each in paths]
    return [*blocks, stack(*closing)]


def _cells(row: Row, real: str) -> dict[str, Words]:
    def of(side: Observed | None, figure: str) -> str:
        return size(getattr(side, figure) if side is not None and side.is_answer else None)

    def seconds(side: Observed | None) -> str:
        return "" if side is None else f"{side.seconds:.1f}"

    return {
        "case": row.id,
        "result": words(row.state.value, style=_STYLES[row.state]),
        f"allocated, {real}": of(row.real, "allocated_bytes"),
        "allocated, virtual": of(row.virtual, "allocated_bytes"),
        f"reserved, {real}": of(row.real, "reserved_bytes"),
        "reserved, virtual": of(row.virtual, "reserved_bytes"),
        f"s, {real}": seconds(row.real),
        "s, virtual": seconds(row.virtual),
    }


def predicted(found: Predictions, digest: str, path: str) -> list[Block]:
    """What was predicted, and the hash to pass on."""
    rows: list[dict[str, Words]] = [
        {
            "case": each.id,
            "allocated, virtual": size(each.virtual.allocated_bytes if each.virtual else None),
            "reserved, virtual": size(each.virtual.reserved_bytes if each.virtual else None),
            "outcome": each.virtual.outcome.value if each.virtual else f"not run: {each.not_run}",
        }
        for each in found.predictions
    ]
    return [
        prose(f"{found.virtual_card.name}: predicted, torch {found.environment.torch}; peaks in MiB"),
        table(rows, whole=["case", "outcome"]),
        stack(
            prose(words(f"SHA-256 of these predictions: {digest}", style="bold")),
            prose(
                "Pass it on before the real card is asked: nanocheck verify in the same folder "
                "compares with them."
            ),
            verbatim(path, indent=2),
        ),
    ]
