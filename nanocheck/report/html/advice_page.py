"""The pages of an advice and of a frontier, without scripts."""

from __future__ import annotations

from nanocheck.report import advice_text, caveats, frontier_text
from nanocheck.report.advice_data import AdviceFile, FrontierFile
from nanocheck.report.html import frontier_picture
from nanocheck.report.html.assets import asset
from nanocheck.report.html.templating import render_page


def render(data: AdviceFile | FrontierFile) -> str:
    """The whole page, ending in a newline. The same data give the same bytes.

    Args:
        data: what ``--json`` of ``nanocheck advise`` or ``nanocheck frontier`` writes.
    """
    return _frontier(data) if isinstance(data, FrontierFile) else _advice(data)


def _advice(data: AdviceFile) -> str:
    return _page(
        data, "advice.html", "What to train with", predicted=caveats.PREDICTED, seconds=advice_text.seconds
    )


def _frontier(data: FrontierFile) -> str:
    methods = range(len(data.columns))
    cells = [[data.cell(row, column) for column in methods] for row in range(len(data.rows))]
    return _page(
        data,
        "frontier.html",
        "Largest batch",
        table=[[frontier_text.words(cell) for cell in row] for row in cells],
        remarks=[line for cell in data.cells for line in frontier_text.remarks(cell, data)],
        pictures=[frontier_picture.of(row, data.columns, data.device.available_bytes) for row in cells],
    )


def _page(data: AdviceFile | FrontierFile, template: str, title: str, **values: object) -> str:
    return render_page(
        template,
        title=f"{title} on {data.device.name}",
        style=asset("style.css") + asset("search.css") + frontier_picture.style(),
        script="",
        data=data,
        provenances=[caveats.sentence(each) for each in data.provenances],
        limits=caveats.limits_of_search(data.provenances),
        **values,
    )
