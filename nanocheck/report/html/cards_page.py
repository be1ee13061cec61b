"""The page of ``nanocheck run`` on several cards: where it fits, and how long a step takes there."""

from __future__ import annotations

import shlex

from nanocheck.report import caveats
from nanocheck.report.card_times_text import by_speed, figures, notes
from nanocheck.report.html.assets import asset
from nanocheck.report.html.templating import render_page
from nanocheck.search.every_card import EveryCard


def render(found: EveryCard) -> str:
    """The whole page, ending in a newline. The same runs give the same bytes."""
    fits = sum(row.verdict.fits for row in found.cards)
    provenances = sorted({row.provenance for row in found.cards})
    times = [(row, figures(time)) for row, time in by_speed(found)]
    command = shlex.join(found.command)
    return render_page(
        "every_card.html",
        title=f"Fits on {fits} of {len(found.cards)} cards: {command}",
        style=asset("style.css"),
        headline=f"Fits on {fits} of {len(found.cards)} cards",
        data=found,
        command=command,
        times=times,
        time_notes=notes(found) if any(row.time for row in found.cards) else [],
        provenances=[caveats.sentence(each) for each in provenances],
        limits=caveats.limits_of_search(provenances),
    )
