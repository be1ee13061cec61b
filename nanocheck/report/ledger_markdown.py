"""The ledger as a page of Markdown: all verdicts first, then each claim with figures and sources."""

from __future__ import annotations

from nanocheck.claims.finding import Finding
from nanocheck.report.ledger import EVIDENCE, LEGEND, Ledger, overview
from nanocheck.report.markdown_cells import escape, frame_of, table


def render(ledger: Ledger) -> str:
    """The whole page, ending in a newline. The same ledger gives the same bytes."""
    counts = f"{ledger.count_summary}, checked against {escape(ledger.where)}. {escape(ledger.date)}."
    parts = ["# Claims ledger", counts]
    for note in ledger.notes:
        parts += [f"## {escape(note.title)}", escape(note.about)]
        parts.append(table(frame_of([overview(each) for each in note.claims])))
    for each in ledger.findings:
        parts += _details(each)
    parts += ["## Legend", "\n".join(f"- **{word}**: {meaning}" for word, meaning in LEGEND.items())]
    parts.append("\n".join(f"- *{word}*: {meaning}" for word, meaning in EVIDENCE.items()))
    environment = ", ".join(f"{name} {value}" for name, value in ledger.environment.known.items())
    if environment:
        parts.append(escape(f"Ran with {environment}."))
    parts += ["## To reproduce", f"```\n{' '.join(ledger.command.replace('`', '').split())}\n```"]
    return "\n\n".join(parts) + "\n"


def _details(claim: Finding) -> list[str]:
    parts = [
        f"### {escape(claim.id)}: {escape(claim.title)}",
        f"**{escape(claim.verdict)}** ({escape(claim.provenance)}). {escape(claim.sentence)}",
    ]
    if claim.why:
        parts.append(f"Why: {escape(claim.why)}.")
    if claim.remark:
        parts.append(escape(claim.remark))
    if claim.rules:
        parts.append("\n".join(f"- {rule}: {escape(formula)}" for rule, formula in claim.rules))
    rows = [
        {"figure": each.name, "value": each.value, "evidence": each.provenance, "how it is known": each.how}
        for each in claim.figures
    ]
    if rows:
        parts.append(table(frame_of(rows), right=("value",)))
    return parts
