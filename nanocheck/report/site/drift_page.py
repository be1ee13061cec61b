"""The page of a drift table: which peaks moved at which release of PyTorch, and what explains it."""

from __future__ import annotations

from nanocheck.core.drift import Drift
from nanocheck.report import drift_words as said
from nanocheck.report.site.layout import Frame, render


def page(frame: Frame, drift: Drift) -> str:
    """The words are those of the terminal and of the Markdown page."""
    tables = [(what, said.figures(drift, what)) for what in ("allocated", "reserved")]
    return render(
        "site/drift.html",
        frame=frame,
        title="Peaks by release of PyTorch",
        drift=drift,
        cards=list(dict.fromkeys(f"{row.card} (capability {row.capability})" for row in drift.rows)),
        releases=said.releases(drift),
        summary=said.summary(drift),
        provenances=said.provenances(drift),
        tables=[(what, rows) for what, rows in tables if rows],
        moves=[
            (said.headline(move), said.title(row, drift), said.explanation(move))
            for row, move in said.largest_first(drift)
        ],
        unanswered=said.unanswered(drift),
    )
