"""Two runs of several ranks: each rank beside itself, and the machine's own verdict."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import DEVICE, oom_result, peaks, result
from made_up_ranks import ranks
from msgspec.structs import replace as changed

from nanocheck.core.device import CardsAlike
from nanocheck.core.rank_runs import rank_runs
from nanocheck.core.result import ObservationEnd, Outcome, RunResult
from nanocheck.core.run_diff import RunDiff, RunDiffs, diff
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import run_diff_text
from nanocheck.report.console import as_text
from nanocheck.report.rank_changes import rank_changes

#: What ranks allocate at their peaks, in MiB, rank 0 first: the card of the results has 11,874.
SIZES = st.lists(st.integers(1000, 1010), min_size=2, max_size=9)


def compared(before: RunResult, after: RunResult) -> RunDiff:
    return diff(JudgedRun.of(before), JudgedRun.of(after))


@given(SIZES, st.data())
@settings(max_examples=30)
def test_each_rank_is_compared_with_itself(sizes: list[int], data: st.DataObject) -> None:
    """Whichever is the fullest on either side."""
    more = data.draw(st.lists(st.integers(-3, 3), min_size=len(sizes), max_size=len(sizes)))
    after = {rank: size + more[rank] for rank, size in enumerate(sizes)}
    found = compared(ranks(dict(enumerate(sizes))), ranks(after))
    assert [each.change_bytes for each in found.ranks] == [each * MIB for each in more]
    assert [each.worse for each in found.ranks] == [each > 0 for each in more]
    assert (found.worse, found.moved) == (max(more) > 0, any(more))
    for each in (found, *found.ranks):
        assert each.explained_bytes == each.change_bytes
    # What is shown at length is a rank that grew by most, or, where none did, one that shrank by most.
    wanted = max(more) if max(more) > 0 else min(more)
    assert found.change_bytes == wanted * MIB == more[found.rank or 0] * MIB
    if wanted > 0:
        assert found.suspect is not None
        assert found.suspect.where == f"train.py:{(found.rank or 0) + 1}"
    grown = {each: [rank for rank, size in enumerate(more) if size == each] for each in set(more) if each > 0}
    for size, which in grown.items():
        said = [why for why in found.why if f" allocated grew by {size * MIB:,} bytes" in why]
        assert all(any(str(rank) in why or "to" in why for why in said) for rank in which)


@given(SIZES)
@settings(max_examples=15)
def test_every_rank_has_its_row(sizes: list[int]) -> None:
    before = ranks(dict.fromkeys(range(len(sizes)), 1000))
    found = compared(before, ranks(dict(enumerate(sizes))))
    rows = rank_changes(found.ranks)
    shown: list[str] = []
    for row in rows:
        first, _, last = row["rank"].partition(" to ")
        shown += [row["allocated more"]] * (int(last or first) - int(first) + 1)
    assert [float(each) for each in shown] == [size - 1000 for size in sizes]
    text = as_text(run_diff_text.blocks(_alone(found)), 400)
    page = run_diff_text.markdown(_alone(found))
    assert all(row["look first at"] in shown for row in rows for shown in (text, page))


def _alone(found: RunDiff) -> RunDiffs:
    return RunDiffs(before="a", after="b", diffs=(found,), worse=found.worse, moved=found.moved)


def test_the_machines_verdict_counts_where_no_rank_has_grown() -> None:
    """Fewer ranks were run: nothing shows any more that the others fit."""
    both, first = ranks({0: 1000, 7: 1000}, world=8), ranks({0: 1000}, world=8)
    found = compared(both, first)
    assert (found.before.verdict, found.after.verdict) == ("safe", "partial")
    assert found.worse
    assert "rank 7 ran before only" in found.notes
    assert not compared(first, both).worse
    assert compared(first, both).moved


@given(st.lists(st.integers(3000, 6500), min_size=2, max_size=3), st.integers(1, 3), st.booleans())
@settings(max_examples=30)
def test_a_rank_alone_has_the_verdict_that_it_has_among_all(
    sizes: list[int], cards: int, left_out: bool
) -> None:
    """Also where it shares its card, with a rank that ran or with one that did not."""
    world = 4 if left_out else len(sizes)
    last = world - 1
    run = ranks({(last if rank == len(sizes) - 1 else rank): size for rank, size in enumerate(sizes)}, world)
    shared = tuple(changed(each, card=(each.rank or 0) % cards) for each in run.processes)
    machine = (CardsAlike(cards=cards, device=DEVICE),)
    judged = JudgedRun.of(changed(run, processes=shared, machine=machine))
    told = {each.rank: each.kind for each in judged.verdict.ranks}
    alone = rank_runs(changed(judged, verdict=changed(judged.verdict, ranks=())))
    assert {rank: each.verdict.kind for rank, each in alone.items()} == told
    assert {each.result.main.rank for each in alone.values()} == {None}


def test_a_rank_that_another_one_ended_is_not_worse_itself() -> None:
    fits = ranks({0: 1000, 1: 1000})
    (full, other) = ranks({0: 1001, 1: 1000}).processes
    oom = oom_result().main.oom
    ended = (changed(full, oom=oom), changed(other, ended=ObservationEnd.FAILED))
    found = compared(fits, changed(fits, outcome=Outcome.OOM, processes=ended))
    assert [each.after.verdict for each in found.ranks] == ["oom", "crashed"]
    assert [each.worse for each in found.ranks] == [True, False]
    assert (found.rank, found.after.verdict, found.worse) == (0, "oom", True)


def test_a_run_without_ranks_beside_one_with_them_is_still_compared() -> None:
    alone = result(peaks=peaks(allocated=900 * MIB))
    found = compared(alone, ranks({0: 1000, 1: 1000}))
    assert (found.rank, found.ranks, found.change_bytes) == (None, (), 100 * MIB)
