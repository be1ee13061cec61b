"""The frontier as a picture: batch down, method across, colour how full the card is, a line at its limit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from nanocheck.core.units import GIB
from nanocheck.core.verdict import Kind
from nanocheck.report.advice_data import FrontierCell, Run
from nanocheck.report.html.markup import Markup, join, tag

#: In px; the picture is not stretched, so that its words stay readable. Four methods fit a phone's 390.
LEFT, WIDE, HIGH, LINE = 42, 77, 24, 13
#: Letters that a column is wide.
_LETTERS = 12
#: How many shades there are between an empty and a full card.
SHADES = 8

STYLE = """
tbody th { white-space: nowrap; }
.heat { display: block; font-size: 11.5px; }
.heat text { fill: var(--text); text-anchor: middle; }
.heat .batch, .heat .name { fill: var(--quiet); }
.heat .batch { text-anchor: end; }
.heat .blank { fill: var(--panel); }
.heat .shade { fill: var(--accent); }
.heat .tight { fill: var(--warn-soft); stroke: var(--warn); }
.heat .oom { fill: var(--bad-soft); }
.heat .oom-word { fill: var(--bad); }
.heat .limit { fill: none; stroke: var(--bad); stroke-width: 3; stroke-linejoin: round; }
.heat-key { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; list-style: none; font-size: 13px; }
.heat-key svg { display: inline-block; width: 14px; height: 14px; margin-right: 6px; vertical-align: -2px; }
""" + "".join(
    f".s{shade} {{ fill-opacity: {0.06 + 0.5 * shade / (SHADES - 1):.2f}; }}\n" for shade in range(SHADES)
)


def draw(cells: Sequence[FrontierCell], names: Sequence[str], available_bytes: int) -> Markup:
    """One model's picture.

    Args:
        cells: one per method, in the order of ``names``.
        available_bytes: what PyTorch may reserve on the card; a full cell.
    """
    batches = sorted({run.batch for cell in cells for run in cell.runs})
    words = [[line for word in name.split("+") for line in wrap(word, _LETTERS)] for name in names]
    top = 8 + LINE * max(map(len, words))
    width, height = LEFT + WIDE * len(names) + 2, top + HIGH * len(batches) + 6
    parts = [_text(LEFT - 8, top + HIGH * at + 16, f"{batch:,}", "batch") for at, batch in enumerate(batches)]
    for column, (cell, lines) in enumerate(zip(cells, words, strict=True)):
        x = LEFT + WIDE * column
        first = top - 5 - LINE * (len(lines) - 1)
        parts += [_text(x + WIDE / 2, first + LINE * at, line, "name") for at, line in enumerate(lines)]
        runs = {run.batch: run for run in cell.runs}
        for at, batch in enumerate(batches):
            parts.append(_cell(x, top + HIGH * at, runs.get(batch), batch, cell, available_bytes))
    parts.append(_limit(cells, batches, top))
    title = f"Largest batch of {len(names)} methods; rows are batches, columns methods"
    return tag(
        "svg",
        *parts,
        class_="heat",
        role="img",
        aria_label=title,
        width=str(width),
        height=str(height),
        viewBox=f"0 0 {width} {height}",
    )


def _cell(
    x: float,
    y: float,
    run: Run | None,
    batch: int,
    cell: FrontierCell,
    available_bytes: int,
) -> Markup:
    box = {"x": f"{x + 1:g}", "y": f"{y + 1:g}", "width": str(WIDE - 2), "height": str(HIGH - 2), "rx": "3"}
    if run is None:
        below = batch < cell.largest
        return tag(
            "g", tag("rect", **box, class_="blank"), _word(x, y, "\N{MIDDLE DOT}" if below else "", "")
        )
    title = tag("title", f"batch {batch}: {run.verdict} ({run.provenance})")
    if not run.verdict.fits:
        word = "\N{MULTIPLICATION SIGN}" if run.verdict.kind is Kind.OOM else "?"
        return tag("g", title, tag("rect", **box, class_="oom"), _word(x, y, word, "oom-word"))
    share = run.reserved_bytes / available_bytes
    shade = min(SHADES - 1, max(0, int(share * SHADES)))
    kind = "tight" if run.verdict.kind is Kind.TIGHT else f"shade s{shade}"
    return tag(
        "g", title, tag("rect", **box, class_=kind), _word(x, y, f"{run.reserved_bytes / GIB:.2f}", "")
    )


def _limit(cells: Sequence[FrontierCell], batches: Sequence[int], top: float) -> Markup:
    """A stair between the largest that fits and what does not; open where nothing was refused."""
    path, pen = [], None
    for column, cell in enumerate(cells):
        if not cell.known or cell.refused is None:
            pen = None
            continue
        y = top + HIGH * batches.index(cell.refused.batch)
        path.append(f"{'M' if pen is None else 'L'}{LEFT + WIDE * column:g} {y:g}")
        path.append(f"L{LEFT + WIDE * (column + 1):g} {y:g}")
        pen = y
    return tag("path", d=" ".join(path), class_="limit") if path else join()


def key() -> Markup:
    """What the colours mean."""

    def item(shape: Markup, words: str) -> Markup:
        return tag("li", tag("svg", shape, viewBox="0 0 14 14", class_="heat", aria_hidden="true"), words)

    box = {"width": "14", "height": "14", "rx": "3"}
    return tag(
        "ul",
        item(tag("rect", **box, class_=f"shade s{SHADES - 1}"), "GiB reserved; darker is fuller"),
        item(tag("rect", **box, class_="tight"), "finishes, inside the margin"),
        item(tag("rect", **box, class_="oom"), "\N{MULTIPLICATION SIGN} out of memory"),
        item(tag("rect", **box, class_="blank"), "not run (\N{MIDDLE DOT} below the largest that fits)"),
        item(tag("path", d="M0 7L14 7", class_="limit"), "beyond this line less than the margin stays free"),
        class_="heat-key",
    )


def _word(x: float, y: float, word: str, kind: str) -> Markup:
    return _text(x + WIDE / 2, y + 16, word, kind)


def _text(x: float, y: float, words: str, kind: str) -> Markup:
    return tag("text", words, x=f"{x:g}", y=f"{y:g}", class_=kind or None)
