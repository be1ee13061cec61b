"""The ledger in a card's report: every verdict with its sentence; figures and sources are on its own page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanocheck.claims.data import count_summary, overview, where
from nanocheck.report.section import Section


def section(answer: Mapping[str, Any], page: str) -> Section:
    """The section of an answer.

    Args:
        answer: see ``data.to_plain``.
        page: the ledger's own page, as the report's folder names it.

    Raises:
        KeyError, TypeError: the answer is malformed.
    """
    torch = answer["environment"].get("torch")
    ran = f", runs with torch {torch}" if torch else ""
    rows = tuple(overview(each) for ledger in answer["ledgers"] for each in ledger["claims"])
    text = f"{count_summary(answer)}, asked of {where(answer)}. {answer['date']}{ran}."
    titles = tuple(f"{ledger['title']}: {ledger['about']}" for ledger in answer["ledgers"])
    return Section(
        title="What is true of what people say",
        paragraphs=(text, *titles),
        columns=tuple(rows[0]) if rows else (),
        cells=tuple(tuple(row.values()) for row in rows),
        more=page,
    )
