"""The chart of frontiers: cells, exceptions, table and picture."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import chromium
import pytest
from advise_fakes import Fake, Need, card, line
from msgspec.structs import replace

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.report import frontier_text
from nanocheck.report.advice_data import AdviceFile, FrontierFile
from nanocheck.report.console import as_text
from nanocheck.report.html import advice_page, frontier_picture
from nanocheck.search import advice, advisor, frontier

GPT2 = StepConfig(n_embd=576, batch=1, accumulation=8)
CHATS = tuple(
    StepConfig.from_dict({"model": "nanochat-2026", "n_layer": depth, "batch": 1, "accumulation": 8})
    for depth in (12, 20)
)
METHODS = ("eager", "compile", "eager+checkpoint-selective", "eager+update-in-backward")


def chart(need: Need = line, interrupt_after: int | None = None, **fields: Any) -> tuple[FrontierFile, Fake]:
    asked = frontier.Chart(**{"target": card(), "models": (GPT2,), "methods": METHODS, **fields})
    fake = Fake(asked.target, need, interrupt_after)
    return FrontierFile.of(frontier.search(asked, fake)), fake


def deep(config: StepConfig) -> float:
    return line(config) * config.n_layer / 12 if config.n_layer < 20 else 30_000


def test_each_cell_ends_between_a_run_that_fits_and_one_that_does_not() -> None:
    found, fake = chart()
    assert found.complete
    assert len(found.cells) == len(METHODS)
    for cell in found.cells:
        assert cell.refused.batch == cell.largest + 1
        assert cell.fits.verdict.kind == "safe"
        assert cell.refused.verdict.kind != "safe"
        assert max(run.batch for run in cell.runs) > cell.refused.batch
    assert found.runs == len(fake.ran)


def test_updates_in_the_backward_have_nothing_to_accumulate() -> None:
    _, fake = chart()
    assert {each.accumulation for each in fake.ran if each.update == "backward"} == {1}
    assert {each.accumulation for each in fake.ran if each.update == "step"} == {8}


def test_an_exception_is_told_in_words() -> None:
    found, _ = chart(lambda config: 1000 if config.batch < 9 or config.batch == 18 else 20_000)
    cell = found.cells[0]
    assert (cell.largest, cell.exceptions) == (8, (18,))
    assert "eager: not monotone: 18 fits, although a smaller batch does not" in as_text(
        frontier_text.render(found)
    )


def test_rows_of_depths_and_what_even_one_sequence_needs() -> None:
    found, _ = chart(deep, models=CHATS, methods=("eager", "compile"))
    words = as_text(frontier_text.render(found), 400)
    assert re.search(r"^ +d12 +[\d,]+ M +\d+ \([\d,.]+\) +\d+ \([\d,.]+\)$", words, re.MULTILINE)
    assert re.search(r"^ +d20 +[\d,]+ M +- +-$", words, re.MULTILINE)
    assert "d20, eager, batch 1: oom: backward of step 0 asked for" in words


def test_a_method_that_does_not_go_with_a_model_is_said_and_not_run() -> None:
    found, fake = chart(methods=("eager", "eager+muon"))
    assert "muon is nanochat's" in found.cells[1].refusal
    assert not found.cells[1].runs
    assert "cannot" in as_text(frontier_text.render(found))
    assert {each.optimizer for each in fake.ran} == {"adamw-fused"}
    with pytest.raises(RequestError, match="expected words joined by"):
        chart(methods=("eager+magic",))


def test_ctrl_c_keeps_the_cells_that_are_known() -> None:
    found, fake = chart(interrupt_after=9)
    assert len(fake.ran) == 9
    assert not found.complete
    known = [cell.known for cell in found.cells]
    assert not all(known)
    assert "interrupted" in as_text(frontier_text.render(found))
    assert advice_page.render(found)


# -- the page ---------------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Elements that are open, and the words of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    assert found.open == []
    assert found.links == []
    return found


def test_the_picture_shows_every_run_and_the_limit() -> None:
    found, fake = chart()
    html = advice_page.render(found)
    shown = outline(html)
    assert html.count("<title>batch ") == len(fake.ran)
    for cell in found.cells:
        for run in cell.runs:
            if run.verdict.kind == "safe":
                assert f"{run.reserved_bytes / 2**30:.2f}" in shown.words
    assert (
        html.count('class="oom"')
        == sum(run.verdict.kind == "oom" for cell in found.cells for run in cell.runs) + 1
    )  # the key
    assert "VIRTUAL" in shown.words


def test_the_limit_lies_between_the_cells() -> None:
    found, _ = chart(methods=("eager", "compile"))
    html = advice_page.render(found)
    # The first path of the page is the key's.
    _, path = re.findall(r'<path d="([^"]+)" class="limit"', html)
    batches = sorted({run.batch for cell in found.cells for run in cell.runs})
    rows = [batches.index(cell.refused.batch) for cell in found.cells]
    levels = [float(each) for each in re.findall(r" ([\d.]+)", path)]
    first = re.search(r'<rect x="[^"]+" y="([\d.]+)"', html)
    assert first is not None
    top = float(first[1]) - 1
    assert levels == [top + frontier_picture.HIGH * row for row in rows for _ in range(2)]


def advise(need: Need = line) -> AdviceFile:
    base = StepConfig(n_embd=576, batch=1)
    asked = advice.Question(target=card(), base=base, tokens_per_step=524_288)
    return AdviceFile.of(advisor.advise(asked, Fake(asked.target, need)))


def test_the_advice_is_a_page_too() -> None:
    for need in (line, lambda config: 30_000):
        found = advise(need)
        shown = " ".join(outline(advice_page.render(found)).words)
        if found.recommendations:
            assert "batch_size = 16\ngradient_accumulation_steps = 32" in shown
            assert f"{found.recommendations[0].seconds:.2f} s a step (computed)" in shown, "not recorded"
        else:
            assert "Nothing fits. The smallest that was run" in shown


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", "\"'><img src=x>", "</style>\u202e"])
def test_no_text_breaks_out_of_its_place(nasty: str) -> None:
    def said(words: str) -> list[str]:
        chart_, advice_ = chart()[0], advise()
        device = replace(chart_.device, name=words)
        best = replace(advice_.recommendations[0], name=words, note=words)
        row = replace(advice_.searched[0], name=words, note=words)
        return [
            advice_page.render(replace(chart_, device=device, columns=(words, *chart_.columns[1:]))),
            advice_page.render(
                replace(advice_, device=device, recommendations=(best,), searched=(row,), nearest=None)
            ),
        ]

    for page, harmless in zip(said(nasty), said("harmless"), strict=True):
        shown = outline(page)
        assert "\u202e" not in page
        assert nasty.replace("\u202e", "\ufffd") in shown.words
        # A long name of a method is written on several lines.
        assert [each for each in shown.tags if each != "text"] == [
            each for each in outline(harmless).tags if each != "text"
        ]


@pytest.mark.skipif(chromium.find() is None, reason=f"no Chromium here; to install it: {chromium.INSTALL}")
def test_the_page_is_seen_whole_on_a_phone_and_on_a_desk(tmp_path: Path) -> None:
    found, _ = chart()
    (tmp_path / "page.html").write_text(advice_page.render(found), encoding="utf-8")
    program = chromium.find()
    assert program is not None
    browser = chromium.Chromium(program, tmp_path / "home")
    try:
        for width, dark in ((390, True), (390, False), (1280, True), (1280, False)):
            browser.open(tmp_path / "page.html", width=width, dark=dark)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            image = chromium.pixels(browser.screenshot("svg.heat[role=img]"))
            assert image.shape[1] == frontier_picture.LEFT + frontier_picture.WIDE * len(METHODS) + 2
            bright = float(image.mean())
            assert bright < 90 if dark else bright > 180
            # Words lie inside their cells.
            outside = browser.evaluate(
                "[...document.querySelectorAll('svg.heat[role=img] g')].filter(g => {"
                "const t = g.querySelector('text').getBoundingClientRect(),"
                "b = g.querySelector('rect').getBoundingClientRect();"
                "return t.width && (t.left < b.left || t.right > b.right || t.bottom > b.bottom + 1)}).length"
            )
            assert outside == 0
            assert browser.evaluate("document.querySelector('tbody th').offsetHeight") < 60
            widest = browser.evaluate(
                "Math.max(...[...document.querySelectorAll('.heat .name')]"
                ".map(e => e.getBoundingClientRect().width))"
            )
            assert widest <= frontier_picture.WIDE
    finally:
        browser.close()
