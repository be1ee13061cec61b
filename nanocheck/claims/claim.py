"""A claim is a function under ``@NOTE.claim(...)``: quotation, what runs, and how the figures decide.

::

    NOTE = Note(title="A forum post about batch 8", about="Who wrote it, and about which card", gpu="rtx4070")

    @NOTE.claim("X1", "batch 8 needs 10 GB", expected="refuted", runs={"eight": {"batch": 8}})
    def needs_10_gb(c):
        claimed = c.said("claimed", (9.5, 10.5), "GB")
        return c.decide(
            confirmed=c.eight.reserved.within(claimed), sentence=f"It reserves {c.eight.reserved:GB.1}."
        )

docs/add-a-claim.md says more. Nothing here runs anything: runs are declared, so that those of all claims can
be run at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from nanocheck.claims.check import Check, Decision, FindGpu, Results, rows_of, unread_runs
from nanocheck.claims.finding import VERDICTS, Finding, evidence
from nanocheck.core.device import Target
from nanocheck.core.errors import NanocheckError, RequestError
from nanocheck.core.gpus import DEFAULT_GPU
from nanocheck.core.run_request import RefusedConfig, RunRequest, read_request

__all__ = ("Check", "Claim", "Decision", "Note")

Result = TypeVar("Result")
#: Name -> fields of ``StepConfig`` and of ``run_request.WHERE``.
Declared = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class Note:
    """Where claims were read.

    Attributes:
        title: a heading.
        about: introduces it: who says what, to whom.
        gpu: id of the card it is about, for which the verdicts are expected.
    """

    title: str
    about: str
    gpu: str = DEFAULT_GPU

    def claim(
        self,
        id: str,
        says: str,
        *,
        expected: str,
        runs: Declared | None = None,
        configs: Declared | None = None,
    ) -> Callable[[Callable[[Check], Decision]], Claim]:
        """Makes a function a claim; the first line of its docstring, or its name, is the claim's title.

        Args:
            id: letters, digits and dashes, such as ``A2``; also the test's id.
            says: the claim in its author's words, or nearly.
            expected: the verdict that was found: confirmed, refuted or cannot tell.
            runs: what must run: name -> fields of a configuration, and ``gpu``, ``platform``, ``reserve``
                (``"2450 MiB"``), ``steps``.
            configs: what need not run, for figures such as ``tokens``; ``may_be_refused`` where it cannot be
                built.

        Raises:
            RequestError: a field is unknown or has an invalid value. The message names file, line and claim.
        """

        def decorate(function: Callable[[Check], Decision]) -> Claim:
            place = Place(Path(function.__code__.co_filename), function.__code__.co_firstlineno, id)
            _check_texts(place, says, expected)
            read_runs = {
                name: _declared(place, name, data, where=True) for name, data in (runs or {}).items()
            }
            read_configs = {
                name: _declared(place, name, data, where=False) for name, data in (configs or {}).items()
            }
            for name in read_runs.keys() & read_configs.keys():
                raise place.wrong(f"{name}: expected it under runs= or configs=, found it under both")
            doc = (function.__doc__ or "").strip().partition("\n")[0]
            return Claim(
                note=self,
                id=id,
                title=doc or function.__name__.replace("_", " "),
                says=" ".join(says.split()),
                expected=expected,
                runs=read_runs,
                configs=read_configs,
                function=function,
                place=place,
            )

        return decorate


class Place(NamedTuple):
    """Where a claim is defined."""

    path: Path
    line: int
    claim: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: claim {self.claim}"

    def wrong(self, problem: str, hint: str | None = None) -> RequestError:
        """An error in the claim's definition."""
        return RequestError(f"{self}: {problem}", hint=hint or f"edit {self.path.name}:{self.line}")

    def guard(self, action: Callable[[], Result]) -> Result:
        """What the action gives.

        Raises:
            RequestError: instead of the action's own error, with this place.
        """
        try:
            return action()
        except NanocheckError as error:
            raise self.wrong(error.problem, error.hint) from error


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim; made by ``Note.claim``, see there.

    Attributes:
        runs, configs: name -> what is to run, what is only looked at.
    """

    note: Note
    id: str
    title: str
    says: str
    expected: str
    runs: Mapping[str, RunRequest | RefusedConfig]
    configs: Mapping[str, RunRequest | RefusedConfig]
    function: Callable[[Check], Decision]
    place: Place

    @property
    def requests(self) -> tuple[RunRequest, ...]:
        """What must run for the verdict."""
        return tuple(each for each in self.runs.values() if isinstance(each, RunRequest))

    def rehearse(self, find: FindGpu) -> None:
        """Finds whatever can be found wrong without running: the function sees runs of unknown outcome.

        Args:
            find: a card by its id.

        Raises:
            RequestError: a card, name or unit is wrong, or a run is declared that nobody reads.
        """
        self.place.guard(lambda: [find(each) for each in (self.note.gpu, *self._own_cards())])
        check, _ = self._decided({}, find)
        for name in unread_runs(check):
            raise self.place.wrong(
                f"{name}: expected that a figure of this run decides or is shown, found none",
                f"declare {name} under configs=, where it need not run, or leave it out",
            )

    def evaluate(self, results: Results, find: FindGpu, target: Target) -> Finding:
        """The finding.

        Args:
            results: what came out of ``requests``.
            find: a card by its id.
            target: where the runs that name no card of their own were made.

        Raises:
            RequestError: see ``rehearse``; also if the rules contradict each other.
        """
        check, decision = self._decided(results, find)
        rows = rows_of(check)
        at_home = (target.gpu.id, target.platform, target.reserve_bytes) == (self.note.gpu, "linux", 0)
        moved = not at_home and any(each.gpu is None for each in self.requests)
        names = [str(results[each].device.name) for each in self.requests if each in results]
        return Finding(
            id=self.id,
            title=self.title,
            says=self.says,
            verdict=decision.verdict,
            expected=self.expected,
            as_expected=None if moved else decision.verdict == self.expected,
            sentence=decision.sentence,
            why=decision.why,
            remark=decision.remark,
            provenance=evidence(rows),
            card=", ".join(dict.fromkeys(names)),
            confirmed_if=decision.confirmed_if,
            refuted_if=decision.refuted_if,
            figures=rows,
        )

    def _own_cards(self) -> list[str]:
        return [each.gpu for each in self.requests if each.gpu is not None]

    def _decided(self, results: Results, find: FindGpu) -> tuple[Check, Decision]:
        check = Check(self, results, find)
        decision = self.place.guard(lambda: self.function(check))
        if not isinstance(decision, Decision):
            raise self.place.wrong(f"expected that it returns c.decide(...), found {decision!r}")
        return check, decision


def _check_texts(place: Place, says: str, expected: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", place.claim):
        raise place.wrong(f"id: expected letters, digits and dashes, found {place.claim!r}")
    if not says.strip():
        raise place.wrong("says: expected the claim in its author's words, found nothing")
    if expected not in VERDICTS:
        raise place.wrong(f"expected=: expected one of {', '.join(VERDICTS)}, found {expected!r}")


def _declared(
    place: Place, name: str, data: Mapping[str, object], *, where: bool
) -> RunRequest | RefusedConfig:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or hasattr(Check, name):
        raise place.wrong(
            f"{name}: expected small letters, digits and _ as a run's name, and none of "
            "card, said, fact, assumed, computed, decide"
        )
    try:
        return read_request(data, where=where)
    except NanocheckError as error:
        raise place.wrong(f"{name}: {error.problem}", error.hint) from error
