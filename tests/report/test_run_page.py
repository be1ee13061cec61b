"""The page says what the result says, draws it to scale, and nothing of the script's can break it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import made_up
import msgspec
import page_sample
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from page_sample import with_oom, with_process, with_result, with_timeline

from nanocheck.core.result import Band, Ending, How, OutOfMemory, Provenance, Timeline, Variable
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.report.html import palette, render, stacked_timeline
from nanocheck.report.html.scale import HEIGHT, WIDTH, Scale, event_ticks, memory_ticks
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


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_a_well_formed_page_that_fetches_nothing(name: str) -> None:
    page = render(RUNS[name])
    reader = Reader(page)
    assert page == render(msgspec.json.decode(msgspec.json.encode(RUNS[name]), type=type(RUNS[name])))
    for element, attributes in reader.found:
        assert "src" not in attributes
        assert element not in ("link", "img", "iframe", "base", "object")
        assert not any(key.startswith("on") or key == "style" for key in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    ids = [attributes["id"] for _, attributes in reader.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for _, attributes in reader.found if "href" in attributes}
    assert {str(target)[1:] for target in targets} <= set(ids)
    if 'class="plot"' in page:
        svg(page)


def test_the_verdict_comes_first_with_card_and_provenance() -> None:
    words = " ".join(Reader(render(DIED)).words)
    order = ["VIRTUAL", "Out of memory on NVIDIA GeForce RTX 4070.", "Peak allocated", "Allocator retries"]
    order += ["Memory, event by event", "Who holds the memory at the peak", "The largest allocations"]
    order += ["Phases", "Out of memory", "Notes and limits", "Environment", "--batch_size=16"]
    place = words.index("VIRTUAL")
    for each in order:
        place = words.index(each, place)
    assert "MEASURED" not in words
    measured = with_result(RUNS["tight"], provenance=Provenance.MEASURED)
    assert "MEASURED" in " ".join(Reader(render(measured)).words)


@pytest.mark.parametrize("kind", Kind)
def test_every_verdict_has_a_headline_with_the_card(kind: Kind) -> None:
    page = render(replace(FINISHED, verdict=replace(FINISHED.verdict, kind=kind, headroom_bytes=None)))
    headline = re.search(r"<h1>.*</span>(.+) NVIDIA GeForce RTX 4070\.</h1>", page)
    assert headline is not None
    assert f"<title>{headline[1]} NVIDIA GeForce RTX 4070: python train.py" in page


def test_further_runs_have_a_row_each_and_what_they_say() -> None:
    run = page_sample.suggested()
    found = run.suggestions
    assert found is not None
    words = [each.strip() for each in Reader(render(run)).words if each.strip()]
    assert set(found.conclusions) <= set(words)
    start = words.index("--batch_size")
    reserved = [f"{each.reserved_bytes / MIB:,.2f}" for each in found.runs]
    assert words[start : start + 18] == [
        *("--batch_size", "allocator", "verdict", "reserved, MiB", "headroom, MiB", "provenance"),
        *("12", "as given", "safe", reserved[0], "1,984.00", "virtual"),
        *("16", "expandable segments", "oom", reserved[1], "—", "virtual"),
    ]
    assert "interrupted: " not in " ".join(words)
    assert render(replace(run, suggestions=None)) == render(FINISHED)


def test_further_runs_that_were_interrupted_or_name_odd_things() -> None:
    run = page_sample.suggested()
    assert run.suggestions is not None

    def page(**changes: Any) -> str:
        return render(replace(run, suggestions=replace(run.suggestions, **changes)))

    assert "<li>interrupted: " in page(complete=False)
    assert "<li>a&lt;b&gt;</li>" in page(conclusions=("a<b>",))
    assert ">--batch&lt;b&gt;</th>" in page(batch_argument="--batch<b>")
    only_allocator = Reader(page(batch_argument=None, conclusions=())).words
    assert "allocator" in only_allocator
    assert "--batch_size" not in only_allocator


@pytest.mark.parametrize("how", How)
def test_every_ending_is_said_with_its_exit_code(how: How) -> None:
    page = render(with_result(FINISHED, ending=Ending(how=how, exit_code=137)))
    assert re.search(r"It [a-z ]+, with exit code 137, after 11\.4 s on this machine's clock\.", page)


def test_a_device_that_nobody_knows_is_never_called_measured() -> None:
    unknown = with_result(RUNS["tight"], provenance=Provenance.UNKNOWN)
    page = " ".join(Reader(render(unknown)).words).lower()
    assert "measured:" not in page
    assert "virtual:" not in page


HOSTILE = st.text(
    alphabet=st.one_of(st.sampled_from("<>&\"'`/!-=\0\n\t\x1b\u202e\u2028\udc80]"), st.characters()),
    max_size=40,
)


def thinned(run: JudgedRun) -> JudgedRun:
    """With fewer points, so that many pages are made in a second."""
    assert run.result.main.timeline is not None
    return with_timeline(run, points=run.result.main.timeline.points[::90])


def saying(run: JudgedRun, words: str) -> JudgedRun:
    """The run with these words wherever a text comes from the script or from its machine."""
    result, process = run.result, run.result.main
    timeline, oom = process.timeline, process.oom
    assert timeline is not None
    assert oom is not None
    bands, peaks, groups = list(timeline.bands), list(process.peaks), list(process.groups)
    bands[1] = replace(bands[1], phase=words)
    peaks[1] = replace(peaks[1], phase=words)
    groups[3] = replace(groups[3], group=words)
    names = (*timeline.groups[:4], words, *timeline.groups[5:])
    assert process.at is not None
    run = with_process(
        run,
        command=("python", words),
        at=replace(process.at, where=words, line=words, phase=words),
        oom=replace(
            oom,
            where=words,
            line=words,
            message=words,
            tensors=(Variable(name=words, shape=(1,), dtype=words),),
        ),
        timeline=replace(timeline, bands=tuple(bands), groups=names),
        peaks=tuple(peaks),
        groups=tuple(groups),
        largest=tuple(
            replace(each, where=words, line=words, group=words, phase=words) for each in process.largest
        ),
    )
    run = with_result(
        run,
        command=("python", words),
        notes=(words,),
        environment=replace(result.environment, torch=words),
        device=replace(result.device, name=words),
    )
    return replace(run, verdict=replace(run.verdict, sentence=words.replace("`", "")))


@example("</script><script>alert(1)</script>")
@example('"><img src=x onerror=alert(1)>')
@example("</style><!--")
@example("]]>")
@settings(max_examples=25)
@given(words=HOSTILE)
def test_no_text_of_the_script_breaks_out(words: str) -> None:
    made = render(saying(thinned(DIED), f"x{words}"))
    made.encode("utf-8")
    svg(made)
    drawn = [each for each in Reader(made).shape if each[0] != "text"]
    harmless = render(saying(thinned(DIED), "harmless"))
    expected = [each for each in Reader(harmless).shape if each[0] != "text"]
    # Whether a label fits depends on its length; everything else is the same.
    assert drawn == expected


@pytest.mark.parametrize("name", ["finished", "tight", "oom", "far from the limit"])
def test_groups_sum_to_the_peak(name: str) -> None:
    page = render(RUNS[name])
    process = RUNS[name].result.main
    table = re.search(r'<table class="groups">.*?</table>', page, re.DOTALL)
    assert table is not None
    root = ET.fromstring(table.group())
    rows = {row[0].itertext().__next__(): row[1].text or "" for row in root.findall(".//tbody/tr")}
    (total,) = [row[1].text for row in root.findall(".//tfoot/tr")]
    assert total == f"{process.allocated_bytes / MIB:,.2f}"
    assert len(rows) == len(process.groups)
    assert sum(float(value.replace(",", "")) for value in rows.values()) == pytest.approx(
        process.allocated_bytes / MIB, abs=0.005 * len(rows)
    )


def test_what_the_groups_do_not_explain_has_its_own_row() -> None:
    assert "not attributed" in render(with_process(FINISHED, groups=FINISHED.result.main.groups[:-1]))
    assert "not attributed" not in render(FINISHED)


@pytest.mark.parametrize("name", ["finished", "tight", "oom", "far from the limit", "one point"])
def test_areas_stack_to_the_sum(name: str) -> None:
    drawn = timeline_of(RUNS[name])
    plot = svg(render(RUNS[name]))
    areas = {
        path.get("data-group"): heights(str(path.get("d")))
        for path in plot.iter("path")
        if path.get("data-group")
    }
    line = next(path for path in plot.iter("path") if path.get("class") == "reserved")
    reserved = heights(str(line.get("d")))
    raw = RUNS[name].result.main.timeline
    assert raw is not None
    unit = drawn.scale.top_bytes / HEIGHT
    # Several points may share a place on paper; the last of them is what stays there.
    last = {drawn.scale.x(point[0]): point for point in raw.points}
    for x, point in list(last.items())[::3]:
        sizes = dict(zip(raw.groups, point[2:], strict=True))
        below = 0
        for group in drawn.groups:
            below += sizes[group]
            assert height_at(areas[group], x) * unit == pytest.approx(below, abs=0.51 * unit)
        assert height_at(reserved, x) * unit == pytest.approx(point[1], abs=0.51 * unit)


@pytest.mark.parametrize("name", ["finished", "tight", "oom", "far from the limit"])
def test_everything_lies_inside_the_plot(name: str) -> None:
    plot = svg(render(RUNS[name]))
    raw = RUNS[name].result.main.timeline
    assert raw is not None
    bands = [rect for rect in plot.iter("rect") if "band" in str(rect.get("class")).split()]
    assert len(bands) >= len(raw.bands)
    for rect in [*bands, *(each for each in plot.iter("rect") if each.get("class") == "shade")]:
        left, width = share_of(str(rect.get("x"))), share_of(str(rect.get("width")))
        assert left >= 0
        assert width > 0
        assert left + width <= 1.00002
    for path in plot.iter("path"):
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in staircase(str(path.get("d"))))


def test_limits_are_drawn_to_scale_or_said_to_be_far_away() -> None:
    run = RUNS["tight"]
    device, scale = run.result.device, timeline_of(run).scale
    drawn = {each.get("class"): each for each in svg(render(run)).iter("line")}
    limit = device.capacity_bytes - device.context_bytes
    assert share_of(str(drawn["limit-line"].get("y1"))) == pytest.approx(
        1 - limit / scale.top_bytes, abs=1e-4
    )
    assert share_of(str(drawn["card-line"].get("y1"))) == pytest.approx(
        1 - device.capacity_bytes / scale.top_bytes, abs=1e-4
    )
    assert "far above this picture" not in render(run)
    assert "far above this picture" in render(RUNS["far from the limit"])


def test_the_failed_request_reaches_beyond_what_was_free() -> None:
    oom, drawn = DIED.result.main.oom, timeline_of(DIED)
    assert oom is not None
    assert oom.free_bytes is not None
    assert drawn.request is not None
    limit = DIED.result.device.available_bytes
    assert drawn.request.base_bytes + oom.free_bytes == limit
    assert drawn.request.base_bytes + drawn.request.size_bytes > limit
    words = " ".join(Reader(render(DIED)).words)
    assert f"{(oom.requested_bytes - oom.free_bytes) / MIB:.2f} MiB" in words


@pytest.mark.parametrize("phase", ["forward", "</script><b>\u202e"])
def test_the_read_out_has_what_is_drawn(phase: str) -> None:
    timeline = FINISHED.result.main.timeline
    assert timeline is not None
    bands = (replace(timeline.bands[1], phase=phase), *timeline.bands[2:])
    run = with_timeline(FINISHED, bands=bands)
    (source,) = re.findall(r'<script type="application/json">(.*?)</script>', render(run), re.DOTALL)
    assert not set(source) & set("<>&'")
    data, drawn = json.loads(source), timeline_of(run)
    assert (data["events"], data["reserved"], data["tops"]) == (drawn.events, drawn.reserved, drawn.tops)
    assert (data["first"], data["end"]) == (drawn.scale.first, drawn.scale.end)
    assert [band[:2] for band in data["bands"]] == [[span.first, span.end] for span in drawn.spans]
    assert data["bands"][0][2] == phase.replace("\u202e", "\ufffd") + ", step 0"


@given(top=st.integers(1, 1 << 42))
def test_memory_ticks_are_round_few_and_inside(top: int) -> None:
    ticks = memory_ticks(top)
    assert 1 <= len(ticks) <= 8
    assert all(0 <= size <= top for size, _ in ticks)
    for size, label in ticks[1:]:
        number, unit = label.split(" ")
        factor = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
        assert float(number.replace(",", "")) * factor == size
        assert re.fullmatch(r"[0-9,]+(\.5)?", number)


@given(first=st.integers(0, 10**7), length=st.integers(1, 10**7), wanted=st.integers(2, 12))
def test_event_ticks_are_inside_and_few(first: int, length: int, wanted: int) -> None:
    scale = Scale(first=first, end=first + length, top_bytes=1)
    ticks = event_ticks(scale, wanted)
    assert len(ticks) <= wanted + 1
    assert all(first <= tick <= first + length for tick in ticks)


def test_a_long_run_stays_a_page_and_not_a_book() -> None:
    run = page_sample.training_run(steps=2)
    assert run.result.main.timeline is not None
    points = run.result.main.timeline.points
    run = with_timeline(
        run,
        points=tuple((place * 70, *points[place % len(points)][1:]) for place in range(1500)),
        bands=tuple(
            Band(phase="forward", step=step, first=step * 10, last=step * 10 + 9) for step in range(10_000)
        ),
    )
    page = render(run)
    assert len(page) < 1_500_000
    svg(page)
