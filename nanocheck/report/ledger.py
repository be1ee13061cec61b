"""The claims ledger as data: what is stored, and what every page of it is a pure function of.

Schema history (``SCHEMA``):
1. first version.
2. ``kind`` names the file; notes instead of ledgers; rules, remark and card of a finding are fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nanocheck import __version__
from nanocheck.claims.claim import Claim
from nanocheck.claims.finding import VERDICTS, Finding
from nanocheck.core import units
from nanocheck.core.device import Device
from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import read_json, to_typed
from nanocheck.core.result import Environment, Provenance
from nanocheck.report import caveats
from nanocheck.report.section import Section

SCHEMA = 2
KIND = "claims ledger"
_HINT = "run the suite again: pytest suites/claims"


class NoteFindings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note and what came out of its claims; ``file`` is relative to the project."""

    title: str
    about: str
    gpu: str
    file: str
    claims: tuple[Finding, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One finding on its way to the ledger, from whichever process found it.

    Attributes:
        note: with this one finding.
        environment: of a result, where something ran.
    """

    note: NoteFindings
    environment: Environment | None

    @property
    def id(self) -> str:
        return self.note.claims[0].id


class Ledger(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=KIND
):
    """All findings of a session.

    Attributes:
        nanocheck: its version. date: ``YYYY-MM-DD``. command: what reproduces it.
        device: that was checked against. environment: of what ran; nothing known where nothing did.
    """

    schema: int = SCHEMA
    nanocheck: str = __version__
    date: str
    command: str
    device: Device
    environment: Environment
    notes: tuple[NoteFindings, ...]

    @property
    def findings(self) -> list[Finding]:
        return [claim for note in self.notes for claim in note.claims]

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> how many, all verdicts."""
        found = Counter(each.verdict for each in self.findings)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def count_summary(self) -> str:
        """``18 claims: 2 confirmed, 15 refuted, 1 cannot tell``."""
        return units.count_summary("claim", self.counts)

    @property
    def where(self) -> str:
        """The card and what else decides how much memory there is: ``NVIDIA GeForce RTX 4070, Linux``."""
        held = self.device.reserve_bytes
        return f"{self.device.name}, {self.device.platform.capitalize()}" + (
            f", {held / units.MIB:,.0f} MiB used by other processes" if held else ""
        )


def found(claim: Claim, finding: Finding, file: str, environment: Environment | None) -> Found:
    """A finding with enough of its note to be put together with others."""
    note = claim.note
    return Found(
        note=NoteFindings(title=note.title, about=note.about, gpu=note.gpu, file=file, claims=(finding,)),
        environment=environment,
    )


def ledger_of(findings: Iterable[Found], *, device: Device, command: str, date: str) -> Ledger:
    """The ledger: notes in the order of their first claims' ids, the claims of a note as they come."""
    findings = list(findings)
    notes: dict[tuple[str, str], NoteFindings] = {}
    for each in findings:
        key = (each.note.file, each.note.title)
        known = notes.get(key)
        claims = (*(known.claims if known else ()), *each.note.claims)
        notes[key] = msgspec.structs.replace(each.note, claims=claims)
    return Ledger(
        date=date,
        command=command,
        device=device,
        environment=next((each.environment for each in findings if each.environment), Environment()),
        notes=tuple(sorted(notes.values(), key=lambda note: note.claims[0].id)),
    )


def dumps(ledger: Ledger) -> str:
    """What is stored, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(ledger), indent=1).decode() + "\n"


def load(path: Path) -> Ledger | None:
    """The ledger in a JSON file, or None where it holds something else, such as a memory report.

    Raises:
        StoredDataError: the file is no strict JSON, or a ledger that is damaged or of another schema.
    """
    value, _ = read_json(path, hint=_HINT)
    # Schema 1 had no kind, and was the only file with "ledgers".
    if not isinstance(value, dict) or (value.get("kind") != KIND and "ledgers" not in value):
        return None
    if value.get("schema") != SCHEMA:
        raise StoredDataError(
            f"{path}: expected a ledger of schema {SCHEMA}, found {value.get('schema')!r}", hint=_HINT
        )
    return to_typed(value, Ledger, what="a ledger", where=str(path), hint=_HINT)


def overview(finding: Finding) -> dict[str, str]:
    """A claim's row in a table of all of them, column -> cell."""
    return {
        "claim": finding.id,
        "says": finding.says,
        "verdict": finding.verdict + (" (not as expected)" if finding.as_expected is False else ""),
        "in one sentence": finding.sentence,
        "evidence": finding.provenance,
    }


def says_the_same(stored: Ledger, found: Ledger) -> bool:
    """Whether two ledgers differ in no more than their dates and what else ran with them."""
    return msgspec.structs.replace(
        found, date=stored.date, nanocheck=stored.nanocheck, environment=stored.environment
    ) == stored and (found.environment.torch == stored.environment.torch)


def section(ledger: Ledger, page: str) -> Section:
    """The ledger in a card's report: every verdict with its sentence.

    Args:
        page: the ledger's own page with figures and sources, as the report's folder names it.
    """
    torch = ledger.environment.torch
    ran = f", runs with torch {torch}" if torch else ""
    text = f"{ledger.count_summary}, checked against {ledger.where}. {ledger.date}{ran}."
    return Section(
        title="What is true of what people say",
        paragraphs=(text, *(f"{note.title}: {note.about}" for note in ledger.notes)),
        columns=tuple(overview(ledger.findings[0])) if ledger.findings else (),
        cells=tuple(tuple(overview(each).values()) for each in ledger.findings),
        more=page,
    )


#: What the words of a ledger mean.
LEGEND = {
    "confirmed": "the rule that the claim states for it holds",
    "refuted": "the opposite rule holds",
    "cannot tell": "neither holds, or what is known is a range that allows both",
}
EVIDENCE = {
    **{word.value: meaning for word, meaning in caveats.PROVENANCE.items() if word != Provenance.UNKNOWN},
    "published": "a figure that others published, with its source",
    "assumed": "a figure that nobody published, with the reason for it",
    "said": "a figure of the claim itself, which is no evidence",
}
