"""The ledger as one HTML page that needs nothing but itself."""

from __future__ import annotations

from nanocheck.report.html.assets import asset
from nanocheck.report.html.templating import render_page
from nanocheck.report.ledger import EVIDENCE, LEGEND, Ledger


def render(ledger: Ledger) -> str:
    """The whole page, ending in a newline. The same ledger gives the same bytes."""
    return render_page(
        "ledger.html",
        title=f"Claims ledger: {ledger.count_summary}",
        style=asset("style.css") + asset("claims.css"),
        ledger=ledger,
        legend={**LEGEND, **EVIDENCE},
    )
