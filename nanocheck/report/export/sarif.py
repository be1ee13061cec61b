"""SARIF 2.1.0 (OASIS standard, errata 01): findings on lines of the source, one run for each card.

GitHub's limits (docs.github.com, "SARIF results exceed one or more limits"): at most 20 runs in a file, and
25,000 results in a run, of which 5,000 are shown. It wants a place in the repository for each result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nanocheck import __version__
from nanocheck.core.anonymous import portable
from nanocheck.core.errors import RequestError
from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.sarif_findings import Finding, Group, findings, grouped
from nanocheck.report.export.sarif_rules import INDEX, descriptors
from nanocheck.report.export.source_places import SourcePlace, SourcePlaces
from nanocheck.report.export.sources import name_of

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RUNS = 20
MOST_RESULTS = 5_000
#: Configurations of one line that its message names; all of them stand in its properties.
_NAMED = 8
_LEVELS = ("error", "warning", "note")


def render(runs: Sequence[CardRun], folder: Path, place: str | None = None) -> str:
    """
    Args:
        folder: the command's, in the repository.
        place: ``FILE`` or ``FILE:LINE`` there, for findings that no line of the repository belongs to.

    Raises:
        RequestError: more cards than GitHub takes in a file, or no such place.
    """
    places = SourcePlaces(folder, place)
    if place is not None and places.instead(None) is None:
        raise RequestError(f"--place: expected a file of the repository, found {portable(place)}")
    cards: dict[str, list[CardRun]] = {}
    for run in runs:
        cards.setdefault(_category(run), []).append(run)
    if len(cards) > MOST_RUNS:
        raise RequestError(
            f"expected at most {MOST_RUNS} cards, which is what GitHub takes in a file, found {len(cards)}",
            hint="choose those that matter: --gpu rtx4070,h100",
        )
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [_run(category, of_card, places) for category, of_card in cards.items()],
    }
    return json.dumps(log, indent=1, allow_nan=False) + "\n"


def _category(run: CardRun) -> str:
    """By which GitHub keeps the findings of one card apart from another's."""
    return run.place if run.provenance == "virtual" else f"{run.place}-{run.provenance}"


def _run(category: str, runs: Sequence[CardRun], places: SourcePlaces) -> dict[str, Any]:
    groups = grouped([each for run in runs for each in findings(run, places)])
    groups.sort(key=lambda group: _LEVELS.index(group.first.level))
    left_out = groups[MOST_RESULTS:]
    notes = [
        {"level": "error", "message": {"text": _text(f"{run.title}: {run.verdict}")}}
        for run in runs
        if not run.verdict.is_answer
    ]
    if left_out:
        notes.append({"level": "warning", "message": {"text": f"{len(left_out)} findings were left out"}})
    invocation: dict[str, Any] = {"executionSuccessful": all(run.verdict.is_answer for run in runs)}
    commands = {name_of(run.command) for run in runs if run.command}
    if len(commands) == 1:
        invocation["commandLine"] = commands.pop()
    if notes:
        invocation["toolExecutionNotifications"] = notes
    return {
        "tool": {"driver": {"name": "nanocheck", "version": __version__, "rules": descriptors()}},
        "automationDetails": {"id": f"nanocheck/{quote(category, safe='')}/"},
        "invocations": [invocation],
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(group) for group in groups[:MOST_RESULTS]],
        "properties": {"card": runs[0].card, "runs": len(runs)},
    }


def _result(group: Group) -> dict[str, Any]:
    first = group.first
    result: dict[str, Any] = {
        "ruleId": first.rule,
        "ruleIndex": INDEX[first.rule],
        "level": first.level,
        "message": {"text": _text(_message(group))},
        "partialFingerprints": {"nanocheckLine/v1": group.fingerprint},
        "occurrenceCount": len(group.findings),
        "properties": {"runs": [_properties(each) for each in group.findings]},
    }
    if first.accepted:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": first.accepted}]
    if first.place is not None:
        result["locations"] = [_location(first.place)]
    if first.related:
        result["relatedLocations"] = [
            {"id": number, **_location(each.place), "message": {"text": _text(each.sentence)}}
            for number, each in enumerate(first.related)
        ]
    return result


def _message(group: Group) -> str:
    first = group.first
    size = "" if first.bytes is None else f" ({first.bytes:,} bytes {first.of})"
    known = f"; {first.accepted}" if first.accepted else ""
    text = f"{first.run.title}: {first.sentence}{size}{known}"
    others = [each.run.name for each in group.findings[1:]]
    if others:
        more = len(others) - _NAMED
        text += f". Here, too: {', '.join(others[:_NAMED])}" + (f" and {more} more" if more > 0 else "")
    return text


def _location(place: SourcePlace) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": place.number}
    if place.line is not None:
        region["snippet"] = {"text": place.line}
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(place.path), "uriBaseId": "SRCROOT"},
            "region": region,
        }
    }
    if place.function:
        location["logicalLocations"] = [{"fullyQualifiedName": place.function, "kind": "function"}]
    return location


def _properties(finding: Finding) -> Mapping[str, Any]:
    """Everything a program may want to know, as numbers of bytes."""
    run = finding.run
    known = {
        "name": run.name,
        "card": run.card,
        "provenance": run.provenance,
        "verdict": run.verdict.kind.value,
        "bytes": finding.bytes,
        "peakAllocatedBytes": run.allocated_bytes,
        "peakReservedBytes": run.reserved_bytes,
        "processBytes": None if run.process is None else run.process.least,
        "headroomBytes": None if run.headroom is None else run.headroom.least,
        **dict(run.versions),
    }
    return {name: value for name, value in known.items() if value is not None}


def _text(message: str) -> str:
    """A plain text message: braces would be placeholders, and brackets before a parenthesis a link."""
    return portable(message).replace("{", "{{").replace("}", "}}").replace("](", "] (")
