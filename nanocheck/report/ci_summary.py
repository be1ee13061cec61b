"""The few lines that a terminal, a GitHub job summary and GitHub's annotations show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nanocheck.core.comparison import ComparisonKind
from nanocheck.core.verdict import Kind
from nanocheck.report.report_file import Report, Row
from nanocheck.report.workflow_commands import ANNOTATION_LIMIT, SUMMARY_LIMIT_BYTES, annotation


def sentence(report: Report) -> str:
    """One counted sentence: how many configurations, measured or virtual, with which verdicts."""
    counts = ", ".join(f"{count} {kind}" for kind, count in report.counts().items()) or "nothing"
    compared = Counter(row.comparison.kind for row in report.rows if row.comparison is not None)
    baselines = (
        ", ".join(f"{compared[kind]} {kind}" for kind in ComparisonKind if compared[kind]) or "none compared"
    )
    many = "configuration" if len(report.rows) == 1 else "configurations"
    how = " and ".join(f"{name.upper()}" for name in report.provenances) or "not run"
    return f"{len(report.rows)} {many} on {report.card} ({how}): {counts}; baselines: {baselines}"


def failures(report: Report) -> list[Row]:
    """The rows that fail a suite: no answer, or a baseline that does not agree."""
    return [
        row
        for row in report.rows
        if row.verdict.kind in (Kind.CRASHED, Kind.TIMEOUT)
        or (row.comparison is not None and row.comparison.fails)
    ]


def job_summary(report: Report, page: str, *, room_bytes: int = SUMMARY_LIMIT_BYTES - 1) -> str:
    """The page for ``GITHUB_STEP_SUMMARY``, cut at a line so that it stays below the limit.

    Args:
        page: the rendered report.
        room_bytes: what earlier steps have left of the limit.
    """
    from nanocheck.report.markdown_cells import escape  # which takes a second to import

    text = f"{escape(sentence(report))}.\n\n{page}"
    if len(text.encode()) <= room_bytes:
        return text
    note = "\n\n(cut: the rest is in the report's file)\n"
    kept = text.encode()[: max(0, room_bytes - len(note.encode()))].decode(errors="ignore")
    kept = kept[: kept.rfind("\n") + 1]
    return kept.rstrip("\n") + note if kept else ""


def annotate(rows: Sequence[Row], *, file: str = "") -> list[str]:
    """GitHub workflow commands for what failed: at most ten, the last one counting those left out."""
    lines = [annotation("error", _why(row), title=f"nanocheck: {row.id}", file=file) for row in rows]
    if len(lines) > ANNOTATION_LIMIT:
        left = len(lines) - ANNOTATION_LIMIT + 1
        lines = lines[: ANNOTATION_LIMIT - 1]
        lines.append(annotation("error", f"{left} more configurations failed", title="nanocheck", file=file))
    return lines


def _why(row: Row) -> str:
    if row.comparison is not None and row.comparison.fails:
        return f"{row.comparison.sentence} ({row.comparison.hint})"
    return str(row.verdict)
