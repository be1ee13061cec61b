"""A run of several ranks as people see it: a row for each, and one page's length for any number of them."""

from __future__ import annotations

import page_sample
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from page_reading import Reader

from nanocheck.core.device import CardsAlike
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB, mib
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import run_markdown, terminal
from nanocheck.report.console import as_text
from nanocheck.report.html import render
from nanocheck.report.rank_rows import MOST_ROWS, in_full, rank_rows
from nanocheck.report.run_file import RunFile


def ranks(reserved_mib: list[int], world: int | None = None) -> RunResult:
    """A run whose ranks reserved so much, rank 0 first."""
    run = page_sample.training_run().result
    made = tuple(
        replace(
            run.main,
            pid=1000 + rank,
            rank=rank,
            card=rank % 8,
            reserved_bytes=size * MIB,
            process_bytes=(size + 200) * MIB,
        )
        for rank, size in enumerate(reserved_mib)
    )
    ordered = tuple(sorted(made, key=lambda each: -each.reserved_bytes))
    return replace(run, processes=ordered, world=world or len(reserved_mib))


def lines(run: JudgedRun) -> list[str]:
    return as_text(terminal.render(run), 200).splitlines()


SIZES = st.lists(st.integers(500, 505), min_size=2, max_size=70)


@given(SIZES)
@settings(max_examples=40)
def test_every_rank_is_in_one_row_with_its_own_figures(sizes: list[int]) -> None:
    run = JudgedRun.of(ranks(sizes))
    rows = rank_rows(run)
    covered = [rank for row in rows for rank in range(row.first, row.last + 1)]
    assert covered == list(range(len(sizes)))
    for row in rows:
        for rank in range(row.first, row.last + 1):
            assert row.memory.reserved_bytes == sizes[rank] * MIB
            assert row.kind == run.verdict.ranks[rank].kind
    assert len(rows) == len(sizes) or len(sizes) > MOST_ROWS
    text = lines(run)
    for row in rows:
        wanted = [row.name, row.card, mib(row.memory.reserved_bytes), str(row.kind)]
        own = [line for line in text if line.strip().startswith(row.name)]
        assert any(all(each in line for each in wanted) for line in own), wanted


@given(SIZES)
@settings(max_examples=20)
def test_the_fullest_and_the_emptiest_are_shown_in_full(sizes: list[int]) -> None:
    result = ranks(sizes)
    shown = in_full(result)
    assert shown[0].reserved_bytes == max(sizes) * MIB
    assert len(shown) == len({min(sizes), max(sizes)})
    assert shown[-1].reserved_bytes == min(sizes) * MIB


@given(SIZES)
@settings(max_examples=20)
def test_markdown_has_the_rows_of_the_terminal(sizes: list[int]) -> None:
    run = JudgedRun.of(ranks(sizes))
    page = run_markdown.render(run)
    found = {
        tuple(cell.strip() for cell in line.strip("|").split("|"))[:6]
        for line in page.splitlines()
        if line.startswith("|")
    }
    for row in rank_rows(run):
        assert tuple(row.cells().values()) in found
    # The rest is one page, however many ranks there are.
    assert len(page.splitlines()) < len(rank_rows(run)) + 100


def test_one_rank_is_shown_as_a_run_without_ranks() -> None:
    alone = replace(ranks([500]), world=1)
    plain = replace(alone, processes=(replace(alone.main, rank=None),))
    for shown in (lambda run: as_text(terminal.render(run), 100), render):
        assert shown(JudgedRun.of(alone)) == shown(JudgedRun.of(plain))


def test_64_ranks_are_a_page_and_not_a_book() -> None:
    equal = ranks([500] * 64)
    assert len(rank_rows(JudgedRun.of(equal))) == 1
    every = ranks([500 + rank for rank in range(64)])
    alone = JudgedRun.of(ranks([500]))
    assert len(render(JudgedRun.of(every))) < 3 * len(render(alone))
    assert len(lines(JudgedRun.of(every))) < 64 + 3 * len(lines(alone))
    read = Reader(render(JudgedRun.of(every)))
    assert sum(tag == "tr" for tag, _ in read.found) > 64
    assert "rank 63 needs most" in " ".join(read.words).lower()


def test_the_bar_of_the_card_has_what_nccl_takes_at_the_least() -> None:
    alone = ranks([500])
    assert "NCCL, at the least" not in "".join(Reader(render(JudgedRun.of(alone))).words)
    process = replace(alone.main, nccl_least_bytes=192 * MIB, nccl_most_bytes=1088 * MIB)
    taken = replace(alone, processes=(process,))
    words = " ".join(Reader(render(JudgedRun.of(taken))).words)
    assert "NCCL, at the least 192.00 MiB" in " ".join(words.replace(":", "").split())


def test_a_result_that_was_stored_before_there_were_verdicts_of_ranks_has_its_table() -> None:
    run = JudgedRun.of(ranks([500, 600]))
    old = RunFile.with_suggestions(replace(run, verdict=replace(run.verdict, ranks=())))
    assert [row.kind for row in rank_rows(old)] == [None, None]
    assert Reader(render(old)).found


def test_a_machine_is_named_with_the_number_of_its_cards() -> None:
    run = ranks([500, 500])
    machine = (CardsAlike(cards=2, device=run.device),)
    judged = JudgedRun.of(replace(run, machine=machine))
    name = f"2 x {run.device.name}"
    assert name in as_text(terminal.render(judged), 200)
    assert f"{name}.</h1>" in render(judged)
