"""The picture of ``curves.csv``: tokens/s over the batch and over the block size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "step-time-curves.svg"
WIDTH, HEIGHT, LEFT, TOP, GAP = 430, 270, 62, 76, 70
#: Colour and dashes of (compiled, checkpointing).
LINES = {
    ("no", "none"): ("#4b5cb7", "", "eager"),
    ("no", "block"): ("#4b5cb7", "5 4", "eager, checkpointing"),
    ("yes", "none"): ("#a45600", "", "compiled"),
    ("yes", "block"): ("#a45600", "5 4", "compiled, checkpointing"),
}


class Figures(Protocol):
    """Of a point, as ``curves.py`` stores it."""

    compiled: str
    checkpointing: str
    batch: str
    block: str
    outcome: str
    tokens_per_second: str
    decided: str


def draw(points: Sequence[Figures]) -> None:
    """Write the file."""
    most = max(float(each.tokens_per_second or 0) for each in points)
    top = -(-most // 10_000) * 10_000
    by_batch = [each for each in points if each.block == "1024"]
    by_block = [each for each in points if each.batch == "4"]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1060 430" font-family="system-ui, sans-serif" '
        'font-size="13" fill="#222" role="img" aria-label="Tokens a second over batch and block size">',
        '<rect width="1060" height="430" fill="#fff"/>',
        '<text x="62" y="26" font-size="16">GPT-2 124M on the RTX 4070, bf16: tokens/s, modelled</text>',
        *_legend(host=any(each.decided == "host" for each in points)),
        *_panel(LEFT, "batch, blocks of 1,024 tokens", by_batch, lambda each: int(each.batch), top),
        *_panel(
            LEFT + WIDTH + GAP, "block size in tokens, batch 4", by_block, lambda each: int(each.block), top
        ),
        "</svg>",
    ]
    PICTURE.write_text("\n".join(parts) + "\n")


def _legend(*, host: bool) -> list[str]:
    found, x = [], LEFT
    for colour, dashes, name in LINES.values():
        found.append(_line(x, 48, x + 26, 48, colour, dashes, 2))
        found.append(f'<text x="{x + 32}" y="52">{name}</text>')
        x += 60 + 7 * len(name)
    found.append(_cross(x + 8, 48, "#222") + f'<text x="{x + 18}" y="52">out of memory</text>')
    if host:
        x += 130
        found.append(f'<circle cx="{x + 8}" cy="48" r="4.5" fill="#fff" stroke="#222" stroke-width="1.5"/>')
        found.append(f'<text x="{x + 18}" y="52">the host decides</text>')
    return found


def _panel(
    left: int, title: str, points: Sequence[Figures], at: Callable[[Figures], int], top: float
) -> list[str]:
    places = sorted({at(each) for each in points})

    def across(each: Figures) -> float:
        # Every value is twice the one before.
        return left + 18 + (WIDTH - 36) * places.index(at(each)) / max(len(places) - 1, 1)

    def up(tokens: float) -> float:
        return TOP + HEIGHT - HEIGHT * tokens / top

    found = []
    for tokens in range(0, int(top) + 1, 10_000):
        y = up(tokens)
        found.append(_line(left, y, left + WIDTH, y, "#ddd", "", 1))
        found.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{tokens // 1000}k</text>')
    for place in places:
        x = left + 18 + (WIDTH - 36) * places.index(place) / max(len(places) - 1, 1)
        found.append(f'<text x="{x:.0f}" y="{TOP + HEIGHT + 46}" text-anchor="middle">{place:,}</text>')
    found.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 70}" text-anchor="middle">{title}</text>')
    for row, (key, (colour, dashes, _)) in enumerate(LINES.items()):
        mine = sorted((each for each in points if (each.compiled, each.checkpointing) == key), key=at)
        fits = [each for each in mine if each.tokens_per_second]
        path = " ".join(f"{across(each):.1f},{up(float(each.tokens_per_second)):.1f}" for each in fits)
        found.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/>'
        )
        for each in fits:
            fill = "#fff" if each.decided == "host" else colour
            found.append(
                f'<circle cx="{across(each):.1f}" cy="{up(float(each.tokens_per_second)):.1f}" r="4.5" '
                f'fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
            )
        for each in mine:
            if each.outcome == "oom":
                found.append(_cross(across(each) - 15 + 10 * row, TOP + HEIGHT + 18, colour))
    return found


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, dashes: str, width: int) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}" '
        f'stroke-width="{width}" stroke-dasharray="{dashes}"/>'
    )


def _cross(x: float, y: float, colour: str) -> str:
    return (
        f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{colour}" stroke-width="1.8" fill="none"/>'
    )
