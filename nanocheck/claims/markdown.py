"""The ledger as a page of Markdown: all verdicts first, then each claim with figures and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nanocheck.claims.data import EVIDENCE, LEGEND, count_summary, overview, where
from nanocheck.report.markdown_cells import escape, table


def render(answer: Mapping[str, Any]) -> str:
    """The whole page, ending in a newline.

    Args:
        answer: see ``data.to_plain``.
    """
    parts = [
        "# Claims ledger",
        f"{count_summary(answer)}, asked of {escape(where(answer))}. {escape(answer['date'])}.",
    ]
    for ledger in answer["ledgers"]:
        parts += [f"## {escape(ledger['title'])}", escape(ledger["about"])]
        parts.append(table(pd.DataFrame([overview(each) for each in ledger["claims"]])))
    for ledger in answer["ledgers"]:
        for each in ledger["claims"]:
            parts += _details(each)
    parts += ["## Legend", "\n".join(f"- **{word}**: {meaning}" for word, meaning in LEGEND.items())]
    parts.append("\n".join(f"- *{word}*: {meaning}" for word, meaning in EVIDENCE.items()))
    environment = ", ".join(
        f"{name} {value}" for name, value in sorted(answer["environment"].items()) if value
    )
    if environment:
        parts.append(escape(f"Ran with {environment}."))
    parts += ["## To reproduce", f"```\n{' '.join(answer['command'].replace('`', '').split())}\n```"]
    return "\n\n".join(parts) + "\n"


def _details(claim: Mapping[str, Any]) -> list[str]:
    parts = [f"### {escape(claim['id'])}: {escape(claim['title'])}", f"**{escape(claim['verdict'])}**"]
    parts[-1] += f" ({escape(claim['provenance'])}). {escape(claim['sentence'])}"
    if claim["why"]:
        parts.append(f"Why: {escape(claim['why'])}.")
    if claim["note"]:
        parts.append(escape(claim["note"]))
    rules = [f"{escape(key.replace('_', ' '))}: {escape(text)}" for key, text in claim["rules"].items()]
    parts += ["\n".join(f"- {rule}" for rule in rules)] if rules else []
    rows = [
        {
            "figure": each["name"],
            "value": each["value"],
            "evidence": each["provenance"],
            "how it is known": each["how"],
        }
        for each in claim["figures"]
    ]
    if rows:
        parts.append(table(pd.DataFrame(rows), right=("value",)))
    return parts
