"""The page says what the result says, draws it to scale, and nothing of the script's can break it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import msgspec
import page_sample
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from page_reading import DIED, FINISHED, RUNS, Reader, svg
from page_sample import with_process, with_result, with_timeline

from nanocheck.core.result import Band, Ending, How, Provenance, Variable
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.report.html import render


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
        *("12", "as given", "safe", reserved[0], "2,126.00", "virtual"),
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
