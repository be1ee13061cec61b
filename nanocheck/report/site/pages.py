"""All files of the site. A pure function: the same table gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nanocheck.core.drift import Drift
from nanocheck.core.gpus import Gpu
from nanocheck.core.table import Table, TableCard, dumps
from nanocheck.report.ledger import EVIDENCE, LEGEND, Ledger
from nanocheck.report.site import card_page, drift_page, index_page, model_page, theme
from nanocheck.report.site.contents import Contents
from nanocheck.report.site.layout import GENERATOR, Frame, render
from nanocheck.report.table_csv import as_csv


def files(
    table: Table,
    *,
    catalog: Mapping[str, Gpu] | None = None,
    ledgers: Sequence[Ledger] = (),
    drift: Drift | None = None,
) -> dict[str, str]:
    """Path in the site -> text.

    Args:
        catalog: for the figures of cards beside their memory; what it does not know is left out.
        ledgers: of claims, a page each.
        drift: peaks by release of PyTorch, a page.

    Raises:
        StoredDataError: the table contradicts itself, see ``Contents``.
    """
    contents = Contents(table)
    claims = {
        f"claims-{number}.html" if len(ledgers) > 1 else "claims.html": each
        for number, each in enumerate(ledgers, 1)
    }
    links = tuple(
        (f"Claims: {ledger.where}" if len(claims) > 1 else "Claims", address)
        for address, ledger in claims.items()
    )
    if drift is not None:
        links = (*links, ("Drift", "drift.html"))
    frame = Frame(contents, links)
    found = {
        "index.html": index_page.page(frame),
        "site.css": theme.style(),
        "site.js": Path(__file__).with_name("site.js").read_text(encoding="utf-8"),
        "table.json": dumps(table),
        "table.csv": as_csv(table),
        # GitHub Pages runs Jekyll over what it serves, unless this is there.
        ".nojekyll": "",
    }
    for card in table.cards:
        page = card_page.page(frame, card, _known(card, catalog or {}))
        found[f"cards/{contents.card_slugs[card.gpu]}.html"] = page
    for model in contents.models:
        found[f"models/{model.slug}.html"] = model_page.page(frame, model)
    for address, ledger in claims.items():
        found[address] = render(
            "ledger.html",
            frame=frame,
            title=f"Claims ledger: {ledger.count_summary}",
            ledger=ledger,
            legend={**LEGEND, **EVIDENCE},
        )
    if drift is not None:
        found["drift.html"] = drift_page.page(frame, drift)
    return found


def stale(out: Path, files: Mapping[str, str]) -> list[Path]:
    """Pages in the folder that an earlier table's site left there: what else lies beside them is not ours."""
    mark = f'<meta name="generator" content="{GENERATOR}">'
    return [
        path
        for pattern in ("cards/*.html", "models/*.html", "*.html")
        for path in sorted(out.glob(pattern))
        if path.relative_to(out).as_posix() not in files
        and mark in path.read_text(encoding="utf-8", errors="replace")
    ]


def _known(card: TableCard, catalog: Mapping[str, Gpu]) -> Gpu | None:
    """The catalog's card, unless the table's is another one of the same id."""
    gpu = catalog.get(card.gpu)
    if gpu is None or (gpu.name, gpu.sms, gpu.nominal_bytes) != (card.name, card.sms, card.nominal_bytes):
        return None
    return gpu
