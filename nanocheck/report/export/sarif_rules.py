"""The kinds of findings that a SARIF file of ours can hold, the same in every file."""

from __future__ import annotations

from typing import Any

import msgspec

from nanocheck.core.verdict import MEANINGS, Kind


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        id: stable: programs recognise a finding by it.
        level: error, warning or note, as the verdict decides an exit code.
        short: what is wrong. full: what it means. help: what to do.
    """

    id: str
    name: str
    level: str
    short: str
    full: str
    help: str


def _meaning(kind: Kind) -> str:
    text = MEANINGS[kind][1]
    return f"{text[0].upper()}{text[1:]}."


_SUGGEST = "nanocheck run --suggest -- COMMAND tries changes that make it fit."
RULES = (
    Rule(
        id="out-of-memory",
        name="OutOfMemory",
        level="error",
        short="It runs out of GPU memory",
        full=f"{_meaning(Kind.OOM)} The line is the one whose allocation did not fit.",
        help=_SUGGEST,
    ),
    Rule(
        id="lost-work",
        name="LostWork",
        level="error",
        short="Work that did not fit was left out",
        full=f"{_meaning(Kind.LOST_WORK)} The line is the one whose allocation did not fit.",
        help=f"A caught out-of-memory hides lost batches. {_SUGGEST}",
    ),
    Rule(
        id="memory-grew",
        name="MemoryGrew",
        level="error",
        short="It needs more GPU memory than before",
        full="More than what was accepted before. The line is the one that explains it, where one does.",
        help="If this is intended, accept it: pytest suites/ --update-baselines, then look at git diff.",
    ),
    Rule(
        id="tight",
        name="Tight",
        level="warning",
        short="Less GPU memory than the margin stays free",
        full=f"{_meaning(Kind.TIGHT)} The line is the one at which most was allocated.",
        help=_SUGGEST,
    ),
    Rule(
        id="partial",
        name="Partial",
        level="note",
        short="Later steps may need more GPU memory",
        full=f"{_meaning(Kind.PARTIAL)} The line is what comes later, else where most was allocated.",
        help="The message names the option that shows the rest: --full, --cover or --steps.",
    ),
    Rule(
        id="unsupported",
        name="Unsupported",
        level="warning",
        short="The virtual GPU does not answer a call",
        full=f"{_meaning(Kind.UNSUPPORTED)} It is no answer about memory.",
        help="Run it on a real card: nanocheck run --device real -- COMMAND.",
    ),
    Rule(
        id="no-answer",
        name="NoAnswer",
        level="warning",
        short="Nobody knows whether it fits",
        full="The run crashed, was stopped or used no GPU, so that it says nothing about memory.",
        help="The message says why; nanocheck run -- COMMAND shows the command's own output.",
    ),
)
INDEX = {rule.id: number for number, rule in enumerate(RULES)}


def descriptors() -> list[dict[str, Any]]:
    """The rules as SARIF's ``reportingDescriptor``s."""
    return [
        {
            "id": rule.id,
            "name": rule.name,
            "shortDescription": {"text": rule.short},
            "fullDescription": {"text": rule.full},
            "help": {"text": rule.help},
            "defaultConfiguration": {"level": rule.level},
            "properties": {"tags": ["gpu", "memory"]},
        }
        for rule in RULES
    ]
