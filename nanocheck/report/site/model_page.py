"""The page of one model: each way to train it, on every card."""

from __future__ import annotations

from nanocheck.report.site import cells
from nanocheck.report.site.card_page import reach
from nanocheck.report.site.contents import Model
from nanocheck.report.site.layout import Frame, render


def page(frame: Frame, model: Model) -> str:
    contents = frame.contents
    ways = [
        (way, [(card, reach(contents, model, way, card.gpu)) for card in contents.table.cards])
        for way in model.ways
    ]
    found = [each.cell for _, reaches in ways for _, each in reaches if each.cell is not None]
    return render(
        "site/model.html",
        frame=frame,
        depth=1,
        title=f"{model.name}: which GPU trains it",
        model=model,
        ways=ways,
        cells=cells,
        remark=contents.remark,
        has_times=any(each.time is not None for each in found),
    )
