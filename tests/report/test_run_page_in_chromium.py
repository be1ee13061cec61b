"""The page in a real browser: two widths, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromium
import numpy as np
import numpy.typing as npt
import page_sample
import pytest
from msgspec.structs import replace
from page_sample import with_process, with_result

from nanocheck.report.html import palette, render

pytestmark = pytest.mark.skipif(
    chromium.find() is None, reason=f"no Chromium on this machine; to install it: {chromium.INSTALL}"
)

RUNS = {
    "safe": page_sample.training_run(batch=8),
    "oom": page_sample.training_run(batch=16, dies=True),
    "far": page_sample.training_run(batch=1, gpu="h100"),
    "several": page_sample.several(),
    "nothing": page_sample.nothing(),
    "suggested": page_sample.suggested(),
}
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    # A path and a line without a place to break them must not widen the page.
    long = tuple(
        replace(row, where="/" + "y" * 300, line="z" * 500, group="w" * 80)
        for row in RUNS["oom"].result.main.largest
    )
    runs = RUNS | {
        "long": with_process(with_result(RUNS["oom"], command=("python", "x" * 400)), largest=long),
    }
    for name, run in runs.items():
        (folder / f"{name}.html").write_text(render(run), encoding="utf-8")
    return {path.stem: path for path in folder.glob("*.html")}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    program = chromium.find()
    assert program is not None
    browser = chromium.Chromium(program, tmp_path_factory.mktemp("home"))
    yield browser
    browser.close()


def share(image: npt.NDArray[np.uint8], colour: str) -> float:
    """How much of an image has a colour of the palette, exactly."""
    wanted = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], np.uint8)
    return float((image == wanted).all(axis=2).mean())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_picture_is_drawn_in_the_legends_colours(
    browser: chromium.Chromium, pages: dict[str, Path], width: int, dark: bool
) -> None:
    browser.open(pages["safe"], width=width, dark=dark)
    image = chromium.pixels(browser.screenshot("svg.plot"))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10
    for group in ("parameters", "optimizer state", "gradients", "activations"):
        assert share(image, palette.STACK[group]) > 0.003, group
    legend = browser.evaluate(
        "[...document.querySelectorAll('.legend [class*=\" k\"]')]"
        ".map(e => getComputedStyle(e).backgroundColor)"
    )
    expected = [
        "rgb({}, {}, {})".format(*(int(palette.STACK[group][place : place + 2], 16) for place in (1, 3, 5)))
        for group in palette.of(RUNS["safe"].result.processes).stacked(page_sample.GROUPS)
    ]
    assert legend == expected[::-1]


@pytest.mark.parametrize("name", [*RUNS, "long"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways(
    browser: chromium.Chromium, pages: dict[str, Path], width: int, name: str
) -> None:
    browser.open(pages[name], width=width, dark=False)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.body.scrollHeight") > 500


@pytest.mark.parametrize("width", WIDTHS)
def test_light_is_light_and_dark_is_dark_and_both_can_be_read(
    browser: chromium.Chromium, pages: dict[str, Path], width: int
) -> None:
    brightness = {}
    for dark in (False, True):
        browser.open(pages["oom"], width=width, dark=dark)
        image = chromium.pixels(browser.screenshot(".verdict"))
        brightness[dark] = float(np.median(image))
        # The sentence stands out: some pixels are far from the ground they are on.
        assert np.abs(image.astype(int) - brightness[dark]).max() > 120
    assert brightness[False] > 180
    assert brightness[True] < 80


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_do_not_lie_on_each_other(
    browser: chromium.Chromium, pages: dict[str, Path], width: int
) -> None:
    for name in ("safe", "oom", "far"):
        browser.open(pages[name], width=width, dark=False)
        boxes = browser.evaluate(
            "[...document.querySelectorAll('svg.plot text')]"
            ".map(e => [e.textContent, e.getBoundingClientRect()])"
            ".filter(([_, b]) => b.width).map(([t, b]) => [t, b.left, b.right, b.top, b.bottom])"
        )
        assert len(boxes) > 10
        for place, (words, left, right, top, bottom) in enumerate(boxes):
            assert left >= 0
            assert right <= width, words
            for other, left2, right2, top2, bottom2 in boxes[:place]:
                across = min(right, right2) - max(left, left2)
                down = min(bottom, bottom2) - max(top, top2)
                assert across <= 0 or down <= 4, (words, other)


def test_the_read_out_follows_the_pointer_and_goes_back(
    browser: chromium.Chromium, pages: dict[str, Path]
) -> None:
    browser.open(pages["safe"], width=1280, dark=False)
    figure = "document.querySelector('figure .moment').textContent"
    at_peak = browser.evaluate(figure)
    assert at_peak.startswith("At the peak: event ")
    box = browser.evaluate(
        "(() => {const p = document.querySelector('svg.plot'); p.scrollIntoView({block: 'center'});"
        "const b = p.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]})()"
    )
    middle = box[1] + box[3] / 2
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] * 0.995, y=middle)
    assert ": optimizer, step 2." in browser.evaluate(figure)
    first = "document.querySelector('.legend b').textContent"
    timeline = RUNS["safe"].result.main.timeline
    assert timeline is not None
    held = sum(timeline.points[-1][2:]) / 2**20
    assert float(browser.evaluate(first).replace(",", "")) == pytest.approx(held, rel=0.2)
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] / 2, y=5)
    assert browser.evaluate(figure) == at_peak


def test_what_is_printed_is_light(browser: chromium.Chromium, pages: dict[str, Path]) -> None:
    browser.open(pages["safe"], width=800, dark=True, media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
