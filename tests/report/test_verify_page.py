"""The page and the table of a verification say both values of what differs, and what is only a stand-in."""

from __future__ import annotations

import re

import pytest
from made_up_verification import CARD, measured, observed, of_rows
from msgspec.structs import replace

from nanocheck.core.result import Outcome
from nanocheck.report import verify_text
from nanocheck.report.console import as_text
from nanocheck.report.html import verify_page
from nanocheck.verify.observed import Observed
from nanocheck.verify.record import VerifyFile

WORDS = "backward of step 3 at x.py:18 `loss.backward()`: 5 bytes"
DEAD = Observed(
    provenance=measured().provenance, outcome=Outcome.CRASHED, detail="<script>alert(1)</script> \u202e boom"
)
FILE = of_rows(
    (measured(), observed()),
    (measured(), observed(reserved_bytes=602 << 20)),
    (DEAD, observed()),
    (measured(out_of_memory=WORDS), observed(out_of_memory=WORDS.replace("5 bytes", "6 bytes"))),
    (None, None),
)
FILE = replace(FILE, rows=(*FILE.rows[:-1], replace(FILE.rows[-1], not_run="no bitsandbytes")))
STAND_IN = of_rows((observed(), observed()), stand_in=True)


def shown(file: VerifyFile) -> list[str]:
    """As the terminal and the page show it, without the page's tags and style."""
    page = re.sub(r"<style>.*</style>", "", verify_page.render(file), flags=re.DOTALL)
    return [as_text(verify_text.render(file, ["out/verify.json"]), 200), re.sub(r"<[^>]*>", "", page)]


@pytest.mark.parametrize("place", [0, 1], ids=["terminal", "page"])
def test_each_difference_is_named_with_both_values(place: int) -> None:
    said = shown(FILE)[place]
    for words in (
        "reserved: measured 600.00 MiB, virtual 602.00 MiB (+2,097,152 bytes)",
        "outcome: measured crashed, virtual completed",
        "boom",
        "not run, no bitsandbytes",
    ):
        assert words in said


@pytest.mark.parametrize("place", [0, 1], ids=["terminal", "page"])
def test_a_stand_in_is_called_one_and_nothing_of_it_measured(place: int) -> None:
    said = shown(STAND_IN)[place]
    assert "nothing is verified" in said
    assert "measured" not in said.lower()
    assert "standing in" in said
    assert "nothing is verified" not in shown(FILE)[place]


def test_text_of_a_run_is_text() -> None:
    page = verify_page.render(FILE)
    assert "<script>" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_the_page_fetches_nothing_and_is_the_same_for_the_same_file() -> None:
    page = verify_page.render(FILE)
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"(?:src|href)=.(?!#)", page)
    assert verify_page.render(FILE) == page


def test_what_the_card_says_otherwise_than_the_catalog_stands_there() -> None:
    other = replace(FILE, card=replace(CARD, usable_bytes=CARD.usable_bytes - (3 << 20)))
    terminal, page = shown(other)
    assert "the card itself: usable" in terminal
    assert f"{CARD.usable_bytes - (3 << 20):,}" in page


def test_every_link_leads_to_a_case() -> None:
    page = verify_page.render(FILE)
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links
    assert links <= set(re.findall(r' id="([^"]+)"', page))


def test_a_card_that_describes_itself_is_said_to() -> None:
    for said in shown(replace(FILE, in_catalog=False)):
        assert "own description" in " ".join(said.split())
    assert not any("own description" in said for said in shown(FILE))


def test_no_rows_say_that_nothing_was_compared() -> None:
    for said in shown(of_rows()):
        assert "Nothing could be compared." in said
