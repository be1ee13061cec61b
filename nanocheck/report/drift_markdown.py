"""A drift table as Markdown; everything that a script or a user brought into it is escaped."""

from __future__ import annotations

from nanocheck.core.drift import Drift
from nanocheck.core.scrub import disarm, scrub
from nanocheck.report import drift_words as said
from nanocheck.report.markdown_cells import escape, frame_of, table


def render(drift: Drift) -> str:
    """A page."""
    cards = dict.fromkeys(f"{row.card} (capability {row.capability})" for row in drift.rows)
    parts = [
        "# Peaks by release of PyTorch",
        f"{escape(', '.join(cards) or 'no card')}. torch {escape(', '.join(said.releases(drift)))}. "
        f"nanocheck {escape(drift.nanocheck)}, {escape(drift.date)}; figures: {said.provenances(drift)}.",
        escape(said.summary(drift)) + ".",
    ]
    for what in ("allocated", "reserved"):
        rows = said.figures(drift, what)
        if rows:
            columns = list(rows[0])
            parts.append(table(frame_of(rows, columns), right=columns[1:]))
    for row, move in said.largest_first(drift):
        parts.append(f"**{escape(said.headline(move))}** {escape(said.title(row, drift))}")
        lines = said.explanation(move)
        if lines:
            parts.append("\n".join(f"- {escape(scrub(line))}" for line in lines))
    notes = said.unanswered(drift)
    if not drift.complete:
        notes.append("interrupted: nothing is known of what is missing")
    parts += [escape(scrub(note)) for note in notes]
    parts.append(f"Made by: {escape(drift.asked)}")
    return disarm("\n\n".join(parts) + "\n")
