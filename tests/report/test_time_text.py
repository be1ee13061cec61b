"""How long a step would take, as people read it: modelled, with its floor and this host's own time."""

from __future__ import annotations

import pytest
from page_reading import FINISHED, Reader
from timed_runs import GPU, timed, timed_file

from nanocheck.core.result import Provenance
from nanocheck.report.console import as_text
from nanocheck.report.html import render
from nanocheck.report.time_text import NOBODY_TIMED, time_blocks
from nanocheck.timing.of_run import step_time


def test_the_estimate_is_between_its_floor_and_what_the_host_needs() -> None:
    run = timed(None)
    found = step_time(run, GPU)
    assert found is not None
    assert found.provenance is Provenance.MODELLED
    assert found.floor == pytest.approx(0.002, rel=1e-3)
    assert found.floor <= found.seconds < 0.004
    slow = step_time(timed(0.5), GPU)
    assert slow is not None
    assert (slow.decided_by, slow.seconds >= 0.5) == ("host", True)


def test_the_text_has_the_figures_of_the_estimate() -> None:
    run = timed(0.0005)
    found = step_time(run, GPU)
    assert found is not None
    text = " ".join(as_text(time_blocks(run, found)).split())
    assert text.startswith(f"MODELLED: {found.seconds * 1e3:,.1f} ms a step on {run.device.name}")
    for each in (found.floor * 1e3, found.card_seconds * 1e3, 0.5):
        assert f"{each:,.1f}" in text
    assert "matrix product" in text


def test_tokens_a_second_are_those_of_the_step_or_there_is_a_word_why() -> None:
    counted, without = timed(None, tokens=4096), timed(None, no_tokens="it reads no text")
    found, nothing = step_time(counted, GPU), step_time(without, GPU)
    assert found is not None
    assert f" {4096 / found.seconds:,.0f} tokens/s" in as_text(time_blocks(counted, found))
    assert nothing is not None
    assert nothing.tokens_per_second is None
    assert "no tokens/s: it reads no text" in as_text(time_blocks(without, nothing))


def test_what_a_real_card_ran_and_what_was_not_recorded_gets_no_estimate() -> None:
    assert step_time(timed(0.1, provenance="measured"), GPU) is None
    run = timed(None, kernels=False)
    assert step_time(run, GPU) is None
    assert "no time" in as_text(time_blocks(run, None))


def test_the_page_has_the_figures_of_the_estimate() -> None:
    file, found = timed_file(FINISHED)
    words = [each.strip() for each in Reader(render(file)).words]
    for each in (found.floor, found.card_seconds, found.kinds[0].seconds):
        assert f"{each * 1e3:,.1f}" in words
    assert any(each.startswith(f"Modelled: {found.seconds * 1e3:,.1f} ms a step on") for each in words)
    assert NOBODY_TIMED in words
    assert "Modelled: " not in " ".join(Reader(render(FINISHED)).words), "nobody asked"
