"""What ``nanocheck verify`` writes: the JSON that anybody may contribute. No names, no paths, no host.

Its JSON Schema is ``docs/verify.schema.json``; ``python docs/generate.py`` writes it.

Schema history (``SCHEMA``):
1. the first.
2. how long a step takes (``Row.time``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import dump_rows, read_typed, write_atomically
from nanocheck.core.result import Environment, Provenance
from nanocheck.core.schemas import json_schema
from nanocheck.verify.comparison import Difference, compare
from nanocheck.verify.observed import Observed, Value
from nanocheck.verify.step_time import StepTime

SCHEMA = 2
_HINT = "run it again: nanocheck verify"


class State(StrEnum):
    """What is known of a case. Only ``equal`` says that both cards did the same."""

    EQUAL = "equal"
    DIFFERS = "differs"
    NO_ANSWER = "no answer"  # neither side says anything about memory
    NOT_RUN = "not run"


class CardFacts(Value, frozen=True, kw_only=True):
    """A card as PyTorch describes it in a process that uses it.

    Attributes:
        capability: such as ``9.0``. usable_bytes: CUDA's total. l2_bytes: of the second-level cache.
        shared_per_block_optin_bytes: the most shared memory that a kernel may ask for.
    """

    name: str
    capability: str
    multiprocessors: int
    threads_per_multiprocessor: int
    usable_bytes: int
    l2_bytes: int
    shared_per_block_optin_bytes: int


class Row(Value, frozen=True, kw_only=True):
    """One case on both cards.

    Attributes:
        tries: what the case is there for.
        real: the real card's side, or that of its stand-in. virtual: the virtual card's.
        differences: of the two. not_run: why a side is missing; empty where none is.
        time: of a step on the real card; None: not asked for, or there was no time left.
    """

    id: str
    tries: str
    real: Observed | None = None
    virtual: Observed | None = None
    differences: tuple[Difference, ...] = ()
    not_run: str = ""
    time: StepTime | None = None

    @property
    def state(self) -> State:
        if self.real is None or self.virtual is None:
            return State.NOT_RUN
        if self.differences:
            return State.DIFFERS
        return State.EQUAL if self.real.is_answer else State.NO_ANSWER


class VerifyFile(Value, frozen=True, kw_only=True):
    """The virtual card beside the real one of the same kind.

    Attributes:
        stand_in: the virtual card stood in for the real one, too: nothing is verified.
        date: the day, as ISO 8601 has it.
        gpu: the card's id in the catalog.
        in_catalog: the catalog holds the card; else its virtual twin was made from the card's own
            description, and both agree on that by construction.
        card: the real card. virtual_card: the virtual one, from the catalog.
        context_least_bytes, context_most_bytes: what the catalog says that CUDA itself takes.
        others_bytes: what others held of the real card before the first case; None: nobody could be asked.
        driver: its version; None: not known.
        environment: of the real side.
        predictions_sha256: of the predictions that were written before, if they were.
        complete: every case was tried.
    """

    schema: int = SCHEMA
    stand_in: bool
    date: str
    gpu: str
    in_catalog: bool = True
    card: CardFacts
    virtual_card: CardFacts
    context_least_bytes: int
    context_most_bytes: int
    others_bytes: int | None
    driver: str | None
    environment: Environment
    predictions_sha256: str | None = None
    complete: bool = True
    rows: tuple[Row, ...] = ()

    def row_of(
        self, case_id: str, tries: str, real: Observed | None, virtual: Observed | None, why: str = ""
    ) -> Row:
        """A case's row, compared where both sides are there."""
        differences: Sequence[Difference] = ()
        if real is not None and virtual is not None:
            surplus = self.context_most_bytes - self.context_least_bytes
            differences = compare(real, virtual, context_surplus_bytes=surplus)
        return Row(
            id=case_id, tries=tries, real=real, virtual=virtual, differences=tuple(differences), not_run=why
        )

    @property
    def counts(self) -> dict[State, int]:
        """How many cases are in each state, zeros included."""
        return {state: sum(row.state is state for row in self.rows) for state in State}

    @property
    def card_differences(self) -> tuple[Difference, ...]:
        """What the catalog says otherwise than the card itself."""
        one, other = msgspec.structs.asdict(self.card), msgspec.structs.asdict(self.virtual_card)
        return tuple(
            Difference(
                figure=name.removesuffix("_bytes").replace("_", " "), real=one[name], virtual=other[name]
            )
            for name in one
            if one[name] != other[name]
        )

    @property
    def is_measured(self) -> bool:
        """Whether a real card ran every side that is called so. A contributed file is its sender's word."""
        sides = [row.real for row in self.rows if row.real is not None]
        known = [each.provenance for each in sides if each.is_answer]
        return not self.stand_in and bool(known) and set(known) == {Provenance.MEASURED}


def save(path: Path, file: VerifyFile) -> None:
    """Replaces the file as a whole: what was there before, or all of this.

    Raises:
        MachineError: it cannot be written.
    """
    plain = msgspec.to_builtins(file)
    rows = [json.dumps(row) for row in plain.pop("rows")]
    write_atomically(path, dump_rows(plain, "rows", rows))


def load(path: Path) -> VerifyFile:
    """
    Raises:
        StoredDataError: damaged, of another schema, or it contradicts itself: differences that do not follow
            from its figures, or a virtual side that is called measured.
    """
    found = read_typed(path, VerifyFile, what="a verification", schema=SCHEMA, hint=_HINT)
    for row in found.rows:
        expected_row = found.row_of(row.id, row.tries, row.real, row.virtual, row.not_run)
        if msgspec.structs.replace(expected_row, time=row.time) != row:
            raise StoredDataError(
                f"{path}: {row.id}: expected the differences that follow from its figures, found others",
                hint=_HINT,
            )
        if row.time is not None and (problem := row.time.contradiction):
            raise StoredDataError(f"{path}: {row.id}: {problem}", hint=_HINT)
        if found.stand_in and row.time is not None and row.time.seconds is not None:
            raise StoredDataError(f"{path}: {row.id}: seconds of a stand-in", hint=_HINT)
        if row.virtual is not None and row.virtual.provenance is Provenance.MEASURED:
            raise StoredDataError(f"{path}: {row.id}: its virtual side was measured", hint=_HINT)
        expected = Provenance.VIRTUAL if found.stand_in else Provenance.MEASURED
        if row.real is not None and row.real.provenance not in (expected, Provenance.UNKNOWN):
            where = "a stand-in" if found.stand_in else "a real card"
            raise StoredDataError(
                f"{path}: {row.id}: expected what {where} did, found that it was {row.real.provenance}",
                hint=_HINT,
            )
    return found


def schema_of_file() -> dict[str, Any]:
    """The JSON Schema of what is written."""
    return json_schema(VerifyFile, f"nanocheck verify, schema {SCHEMA}")
