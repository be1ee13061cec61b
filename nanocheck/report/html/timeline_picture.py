"""The picture: what was held, event by event, stacked by group, under the card's limits.

One SVG for every width. Positions are percentages of the plot, sizes of text and lines are px, and the
areas lie in a nested box that is stretched; so text is as large on a phone as on a desk, and nothing
needs a script. The plot's margins are the padding of the element around it (style.css).
"""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.report.html import area_labels, bands
from nanocheck.report.html.format import size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.scale import HEIGHT, WIDTH, Scale, event_ticks, memory_ticks, percent
from nanocheck.report.html.timeline import Timeline

_HATCHES = ("context", "request")
#: The column of the peak beside the plot, and what a line of its names needs where they are shown.
_COLUMN_PX = 20
_HEIGHT_PX = 420
_LINE_PX = 14
_REQUEST_WIDTH = 0.03


def draw(timeline: Timeline, palette: Palette, *, name: str, peak: str, moment: str) -> Markup:
    """The SVG element.

    Args:
        name: unique on the page; prefixes ids.
        peak, moment: what the highest point is called, and when it was.
    """
    scale = timeline.scale
    return tag(
        "svg",
        tag("defs", *(_hatch(name, kind) for kind in _HATCHES)),
        bands.shades(timeline.bands, scale),
        _memory_axis(scale),
        _areas(timeline, palette),
        area_labels.labels(timeline, palette),
        _peak(timeline, peak, moment),
        _limits(timeline, name),
        _request(timeline, name),
        _column(timeline, palette),
        bands.strips(timeline.bands, scale),
        _event_axis(scale, bool(timeline.bands)),
        tag("line", class_="cursor", y1="0", y2="100%", visibility="hidden"),
        xmlns="http://www.w3.org/2000/svg",
        class_="plot",
        role="img",
        tabindex="0",
        aria_label="Memory over allocation events, stacked by group; tables below say it in numbers.",
    )


def steps(scale: Scale, events: Sequence[int], values: Sequence[int]) -> str:
    """Path commands along a staircase from the first event to the last, without the first move."""
    commands: list[str] = []
    before: int | None = None
    for event, value in zip(events, values, strict=True):
        y = scale.y(value)
        if y != before:
            commands += [f"H{scale.x(event)}"] if before is not None else []
            commands.append(f"V{y}")
            before = y
    commands.append(f"H{scale.x(events[-1] + 1)}")
    return "".join(commands)


def _areas(timeline: Timeline, palette: Palette) -> Markup:
    """Each group from the floor to its upper edge, the top one first: the next covers all but its share.

    Areas that share an edge would let the page shine through between them.
    """
    scale, events = timeline.scale, timeline.events
    start = scale.x(events[0])
    shapes = [
        tag(
            "path",
            d=f"M{start} {HEIGHT}{steps(scale, events, top)}V{HEIGHT}Z",
            class_=f"area {palette.css(group)}",
            data_group=group,
        )
        for group, top in reversed(list(zip(timeline.groups, timeline.tops, strict=True)))
    ]
    line = f"M{start} {HEIGHT}{steps(scale, events, timeline.reserved)}"
    shapes.append(tag("path", d=line, class_="reserved"))
    return tag(
        "svg",
        *shapes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        class_="areas",
    )


def _memory_axis(scale: Scale) -> Markup:
    parts = []
    for value, label in memory_ticks(scale.top_bytes):
        y = percent(scale.down(value))
        parts.append(tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(tag("text", label, x="0", dx="-8", y=y, dy="4", class_="tick size"))
    return tag("g", *parts, class_="axis")


def _event_axis(scale: Scale, under_bands: bool) -> Markup:
    """Tick marks at round events, below the rows of phases and steps where there are some."""
    parts = []
    many, few = event_ticks(scale, 10), event_ticks(scale, 4)
    for event in sorted({*many, *few}):
        tiers = ["s"] * (event in few) + ["m", "l"] * (event in many)
        classes = " ".join(["tick event fit", *tiers])
        parts.append(tag("text", f"{event:,}", x=percent(scale.across(event)), y="100%", class_=classes))
    return tag("g", *parts, transform=f"translate(0 {60 if under_bands else 18})", class_="axis")


def _limits(timeline: Timeline, name: str) -> Markup:
    limit, card, scale = timeline.limit_bytes, timeline.card_bytes, timeline.scale
    if limit is None or card is None:
        return join()
    if not timeline.limits_drawn:
        words = {"s": f"limit {size(limit)}", "m l": f"PyTorch may reserve {size(limit)}"}
        labels = [
            tag(
                "text",
                f"\N{UPWARDS ARROW} {each}, far above this picture",
                x="0",
                dx="6",
                y="0",
                dy="-7",
                class_=f"limit-label fit {tiers}",
            )
            for tiers, each in words.items()
        ]
        return join(*labels)
    upper, lower = percent(scale.down(card)), percent(scale.down(limit))
    zone = percent(scale.down(limit) - scale.down(card))
    return tag(
        "g",
        tag("rect", x="0", width="100%", y=upper, height=zone, fill=f"url(#{name}-context)", class_="zone"),
        tag("line", x1="0", x2="100%", y1=upper, y2=upper, class_="card-line"),
        tag("line", x1="0", x2="100%", y1=lower, y2=lower, class_="limit-line"),
        _card_label(timeline, f"full card {size(card)}", upper),
        tag(
            "text",
            f"PyTorch may reserve {size(limit)}",
            x="0",
            dx="6",
            y=lower,
            dy="15",
            class_="limit-label",
        ),
        class_="limits",
    )


def _request(timeline: Timeline, name: str) -> Markup:
    """The request that failed, as a column from where the reserved memory ended."""
    request, scale = timeline.request, timeline.scale
    if request is None:
        return join()
    top = scale.down(request.base_bytes + request.size_bytes)
    base = scale.down(request.base_bytes)
    x = scale.across(request.event + 1)
    early = _early(timeline)
    return tag(
        "g",
        tag(
            "rect",
            x=percent(x),
            y=percent(top),
            width=percent(_REQUEST_WIDTH),
            height=percent(base - top),
            fill=f"url(#{name}-request)",
            class_="request",
        ),
        tag(
            "text",
            f"no room for {size(request.size_bytes)}",
            x=percent(x if early else min(1.0, x + _REQUEST_WIDTH)),
            y=percent(top),
            dy="-7",
            text_anchor="start" if early else "end",
            class_="request-label",
        ),
        class_="request-group",
    )


def _card_label(timeline: Timeline, words: str, y: str) -> Markup:
    """At the left, but for a request that failed there and has its own label."""
    side = {"x": "100%", "dx": "-6", "text_anchor": "end"} if _early(timeline) else {"x": "0", "dx": "6"}
    return tag("text", words, y=y, dy="-7", class_="card-label", **side)


def _early(timeline: Timeline) -> bool:
    return timeline.request is not None and timeline.scale.across(timeline.request.event) < 0.5


def _peak(timeline: Timeline, peak: str, moment: str) -> Markup:
    place = timeline.peak
    across = timeline.scale.across(timeline.events[place] + 0.5)
    x = percent(across)
    y = percent(timeline.scale.down(timeline.tops[-1][place] if timeline.tops else 0))
    anchor = "start" if across < 0.35 else "end" if across > 0.65 else "middle"
    height = size(timeline.tops[-1][place] if timeline.tops else 0)
    return tag(
        "g",
        tag("line", x1=x, x2=x, y1=y, y2="0", class_="peak-line"),
        tag("line", x1=x, x2=x, y1="0", y2="-24", class_="peak-line"),
        tag("circle", cx=x, cy=y, r="4.5", class_="peak-dot"),
        *(
            tag("text", label, x=x, y="0", dy="-30", text_anchor=anchor, class_=f"peak-label {fit}")
            for fit, label in (("fit s", f"{peak} {height}"), ("fit m l", f"{peak} {height}, {moment}"))
        ),
        class_="peak",
    )


def _column(timeline: Timeline, palette: Palette) -> Markup:
    """The peak once more beside the plot, on the same scale: in the plot it may be a hair wide."""
    scale, place = timeline.scale, timeline.peak
    parts, lower = [], 0
    for group, top in zip(timeline.groups, timeline.tops, strict=True):
        upper = top[place]
        high, low = scale.down(upper), scale.down(lower)
        if upper > lower:
            parts.append(
                tag(
                    "rect",
                    tag("title", f"{group}: {size(upper - lower)}"),
                    x="100%",
                    y=percent(high),
                    width=str(_COLUMN_PX),
                    height=percent(low - high),
                    class_=palette.css(group),
                )
            )
        if (low - high) * _HEIGHT_PX >= _LINE_PX:
            words = tag("text", group, x="100%", dx=str(_COLUMN_PX + 8), y=percent((high + low) / 2), dy="4")
            parts.append(tag("g", words, class_="fit m l"))
        lower = upper
    parts.append(
        tag("text", "peak", x="100%", dx=str(_COLUMN_PX / 2), y="100%", dy="18", class_="column-name")
    )
    return tag("g", *parts, transform="translate(10 0)", class_="column")


def _hatch(name: str, kind: str) -> Markup:
    return tag(
        "pattern",
        tag("rect", width="6", height="6", class_=f"{kind}-ground"),
        tag("line", x1="0", x2="0", y1="0", y2="6", class_=f"{kind}-stripe"),
        id=f"{name}-{kind}",
        width="6",
        height="6",
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
