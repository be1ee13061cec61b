"""The picture of a run's memory is to scale, inside its frame, and says where a limit lies."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from page_reading import (
    DIED,
    FINISHED,
    RUNS,
    Reader,
    height_at,
    heights,
    share_of,
    staircase,
    svg,
    timeline_of,
)
from page_sample import with_timeline

from nanocheck.core.units import MIB
from nanocheck.report.html import render
from nanocheck.report.html.scale import HEIGHT, WIDTH, Scale, event_ticks, memory_ticks


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
