"""Findings as plain data: what ``--json`` writes and every page is a pure function of.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nanocheck import __version__
from nanocheck.claims.judging import Finding
from nanocheck.claims.quantities import VERDICTS, Ledger
from nanocheck.core import units
from nanocheck.core.device import Target
from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import read_json

SCHEMA = 1


def finding_to_plain(ledger: Ledger, finding: Finding) -> dict[str, Any]:
    """One finding, with enough of its ledger to put it together with others again."""
    claim = finding.claim
    return {
        "ledger": {"file": ledger.file, "title": ledger.title, "about": ledger.about, "gpu": ledger.gpu},
        "id": claim.id,
        "title": claim.title,
        "says": claim.says,
        "verdict": finding.verdict,
        "expected": claim.expected,
        "same": finding.same,
        "sentence": finding.sentence,
        "why": finding.why,
        "note": finding.note,
        "provenance": finding.provenance,
        "card": finding.card,
        "rules": {
            key: rule.text
            for key, rule in (("confirmed_if", claim.confirmed_if), ("refuted_if", claim.refuted_if))
            if rule is not None
        },
        "figures": [vars(each) for each in finding.shown],
    }


def to_plain(
    findings: Iterable[Mapping[str, Any]],
    *,
    device: Target,
    command: str,
    date: str,
    environment: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The whole answer.

    Args:
        findings: of ``finding_to_plain``, in order.
        environment: of a record, where something ran.
    """
    ledgers: dict[str, dict[str, Any]] = {}
    for each in findings:
        own = ledgers.setdefault(each["ledger"]["file"], {**each["ledger"], "claims": []})
        own["claims"].append({key: value for key, value in each.items() if key != "ledger"})
    return {
        "schema": SCHEMA,
        "nanocheck": __version__,
        "date": date,
        "command": command,
        "device": msgspec.to_builtins(device.device),
        "environment": dict(environment or {}),
        "counts": counts([claim for ledger in ledgers.values() for claim in ledger["claims"]]),
        "ledgers": list(ledgers.values()),
    }


def dumps(answer: Mapping[str, Any]) -> str:
    """What is stored, ending in a newline."""
    return json.dumps(answer, indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> dict[str, Any] | None:
    """The answer in a JSON file, or None where it holds something else, such as a report.

    Raises:
        StoredDataError: the file is no JSON, or a ledger of another schema.
    """
    hint = "run the suite again: pytest suites/claims"
    answer, _ = read_json(path, hint=hint)
    if not isinstance(answer, dict) or "ledgers" not in answer:
        return None
    if answer.get("schema") != SCHEMA:
        found = answer.get("schema")
        raise StoredDataError(f"{path}: expected a ledger of schema {SCHEMA}, found {found!r}", hint=hint)
    return answer


def counts(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Verdict -> how many."""
    found = Counter(claim["verdict"] for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS}


def overview(claim: Mapping[str, Any]) -> dict[str, str]:
    """A claim's row in a table of all of them, column -> cell."""
    return {
        "claim": claim["id"],
        "says": claim["says"],
        "verdict": claim["verdict"] + ("" if claim["same"] is not False else " (not as expected)"),
        "in one sentence": claim["sentence"],
        "evidence": claim["provenance"],
    }


def count_summary(answer: Mapping[str, Any]) -> str:
    """``18 claims: 2 confirmed, 15 refuted, 1 cannot tell``."""
    return units.count_summary("claim", answer["counts"])


def where(answer: Mapping[str, Any]) -> str:
    """The card, and what ran there: ``NVIDIA GeForce RTX 4070, Linux``."""
    device = answer["device"]
    held = device.get("reserve_bytes") or 0
    return f"{device['name']}, {str(device['platform']).capitalize()}" + (
        f", {held / (1 << 20):,.0f} MiB used by other processes" if held else ""
    )


#: What the words in a finding's evidence mean.
EVIDENCE = {
    "measured": "a real GPU ran it",
    "virtual": "the real PyTorch ran it on a virtual GPU, which keeps account of memory and computes nothing",
    "computed": "arithmetic",
    "published": "a figure that others published, with its source",
    "assumed": "a figure that nobody published, with the reason for it",
    "said": "a figure of the claim itself, which is no evidence",
}
LEGEND = {
    "confirmed": "the rule that the claim's file states for it holds",
    "refuted": "the opposite rule holds",
    "cannot tell": "neither holds, or what is known is a range that allows both",
}
