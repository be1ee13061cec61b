"""Contributed verifications as one table: which real cards the virtual one was compared with, by others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from nanocheck.report.verify_words import context, difference, real_word, worst
from nanocheck.verify.record import State, VerifyFile, load

NOBODY = "Nobody yet: no file of a real card was contributed."
HEAD = ("card", "software", "cases equal", "worst allocated", "worst reserved", "CUDA's own memory", "file")


def load_all(folder: Path) -> dict[str, VerifyFile]:
    """Every file of a folder, by its name.

    Raises:
        StoredDataError: one is damaged, or contradicts itself.
    """
    return {path.name: load(path) for path in sorted(folder.glob("*.json"))}


def verified(files: Mapping[str, VerifyFile]) -> list[tuple[str, ...]]:
    """A row for each file of a real card, as ``HEAD`` names its cells."""
    return [_row(name, file) for name, file in files.items() if file.is_measured]


def stand_ins(files: Mapping[str, VerifyFile]) -> list[tuple[str, ...]]:
    """Likewise for all others, which verify nothing, and say so in their first cell."""
    return [
        (f"stand-in, no real card: {row[0]}", *row[1:])
        for row in (_row(name, file) for name, file in files.items() if not file.is_measured)
    ]


def differing(files: Mapping[str, VerifyFile]) -> Iterable[tuple[str, str, str]]:
    """File, case and what differs there, of real cards."""
    for name, file in files.items():
        if file.is_measured:
            for each in file.card_differences:
                yield name, "the card itself", difference(each, real_word(file))
            for row in file.rows:
                for each in row.differences:
                    yield name, row.id, difference(each, real_word(file))


def _row(name: str, file: VerifyFile) -> tuple[str, ...]:
    counts = file.counts
    compared = counts[State.EQUAL] + counts[State.DIFFERS]
    driver = f", driver {file.driver}" if file.driver else ""
    early = "; predicted before" if file.predictions_sha256 else ""
    left = len(file.rows) - compared
    return (
        file.card.name + ("" if file.in_catalog else ", described by itself"),
        f"torch {file.environment.torch}, CUDA {file.environment.cuda}{driver}; {file.date}{early}",
        f"{counts[State.EQUAL]} of {compared}" + (f", {left} not compared" if left else ""),
        worst(file, "allocated"),
        worst(file, "reserved"),
        context(file),
        f"`{name}`",
    )
