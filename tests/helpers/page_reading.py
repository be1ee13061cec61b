"""Reading a page of a run as a browser would: its elements, its words, and the runs that tests draw."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser

import made_up
import page_sample
from msgspec.structs import replace
from page_sample import with_oom, with_process, with_result

from nanocheck.core.result import OutOfMemory, Timeline
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.report.html import palette, stacked_timeline
from nanocheck.report.html.scale import HEIGHT
from nanocheck.report.html.stacked_timeline import StackedTimeline

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Every element with its attributes and text; fails where tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(name, tuple(attributes)) for name, attributes in self.found]


def svg(page: str) -> ET.Element:
    """The first picture of a page."""
    start = page.index('<svg class="plot"')
    # The plot holds one more svg element, so it ends at the second end tag after the areas.
    inner = page.index('class="areas"', start)
    end = page.index("</svg>", page.index("</svg>", inner) + 1) + len("</svg>")
    return ET.fromstring(page[start:end])


def share_of(value: str) -> float:
    assert value.endswith("%")
    return float(value[:-1]) / 100


def staircase(path: str) -> Iterator[tuple[int, int]]:
    """Corners of a path of horizontal and vertical lines."""
    x, y = map(int, re.match(r"M(\d+) (\d+)", path).groups())  # type: ignore[union-attr]
    for command, number in re.findall(r"([HV])(\d+)", path):
        x, y = (int(number), y) if command == "H" else (x, int(number))
        yield x, y


def heights(path: str) -> dict[int, int]:
    """Height over the floor at each place where a step begins, in the plot's units."""
    before: dict[int, int] = {}
    for x, y in staircase(path):
        before[x] = HEIGHT - y
    return before


def height_at(steps: dict[int, int], x: int) -> int:
    return steps[max(place for place in steps if place <= x)]


FINISHED = page_sample.training_run()
DIED = page_sample.training_run(batch=16, dies=True)
RUNS = {
    "finished": FINISHED,
    "tight": page_sample.training_run(batch=15),
    "oom": DIED,
    "several": page_sample.several(),
    "nothing": page_sample.nothing(),
    "far from the limit": page_sample.training_run(batch=1, gpu="h100"),
    "no timeline": with_process(
        FINISHED, timeline=Timeline(groups=(), points=(), bands=()), peaks=(), largest=()
    ),
    "zero bytes": with_process(
        FINISHED,
        timeline=Timeline(groups=("parameters",), points=((0, 0, 0),), bands=()),
        groups=(),
        allocated_bytes=0,
        reserved_bytes=0,
        process_bytes=0,
        at=None,
        fragmentation=None,
        peaks=(),
    ),
    "one point": with_process(
        FINISHED, timeline=Timeline(groups=("unnamed",), points=((7, 4096, 512),), bands=())
    ),
    "reserved only": with_process(
        FINISHED, timeline=Timeline(groups=(), points=((0, 2 * MIB), (9, MIB)), bands=())
    ),
    "died while it was built": with_process(
        DIED, steps=0, at=None, oom=OutOfMemory(requested_bytes=2 << 40, phase="build", step=0, exact=True)
    ),
    "caught": with_oom(DIED, caught=True),
    "more than the card": with_oom(DIED, requested_bytes=2 << 40),
    "nothing known of the failure": with_oom(
        DIED,
        where=None,
        shape=None,
        exact=False,
        free_bytes=None,
        message="",
        tensors=(),
        groups=(),
        alive=(),
    ),
    "beyond the card": replace(
        FINISHED, verdict=replace(FINISHED.verdict, kind=Kind.TIGHT, headroom_bytes=-900 * MIB)
    ),
    "many allocations": with_process(FINISHED, largest=FINISHED.result.main.largest * 3),
    "no memory of its own": with_result(
        FINISHED, device=replace(FINISHED.result.device, capacity_bytes=0, context_bytes=0)
    ),
    "a configuration": JudgedRun.of(made_up.result()),
    "with further runs": page_sample.suggested(),
}


def timeline_of(run: JudgedRun) -> StackedTimeline:
    """What the picture of the first process is drawn from."""
    result = run.result
    drawn = stacked_timeline.of(result.main, result.device, palette.of(result.processes))
    assert drawn is not None
    return drawn
