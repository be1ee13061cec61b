"""A search for a batch goes on with less than it ever did before; whoever skips a batch does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.attribution.event_reader import Mark, Observation
from nanocheck.attribution.journal_entries import End, Failed, Request
from nanocheck.attribution.outcome import failed_by_itself
from nanocheck.attribution.recovery import asked_for_nothing_more, note_who_ran_out, recovered
from nanocheck.core.result import Ending, How, Recovery

FAILS = -1


def observed(*steps: int, requested: tuple[int, ...] = ()) -> Observation:
    """A process whose steps' largest allocations have these sizes; ``FAILS`` runs out of memory."""
    seen = Observation()
    for size in steps:
        if size == FAILS:
            number = len(seen.ooms)
            asked = requested[number] if number < len(requested) else 1000 - number
            seen.events.append(("o", 0, asked, 0))
            seen.ooms.append(Request(requested=asked))
            continue
        seen.events += [("a", 0, max(1, size // 2), 0), ("a", 0, size, 0), ("f", 0, size, 0)]
        allocations = sum(event[0] == "a" for event in seen.events)
        retries = len(seen.ooms)
        seen.marks.append(Mark("optimizer-", allocations, None, {"retries": retries}))
        seen.last = {"retries": retries}
    return seen


def how(seen: Observation) -> Recovery | None:
    found = recovered(seen)
    return None if found is None else found.how


SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@given(before=SIZES, after=st.lists(st.integers(1, 50), min_size=3, max_size=6))
def test_it_was_a_search_only_if_all_that_follows_is_smaller(before: list[int], after: list[int]) -> None:
    found = recovered(observed(*before, FAILS, *after))
    assert found is not None
    # The first step after the failure began with it.
    searched = max(after[1:]) < min(before)
    assert found.how is (Recovery.SEARCHED if searched else Recovery.SKIPPED)
    assert bool(found.since) == searched


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=9, unique=True), skipped=st.data())
def test_a_batch_that_is_skipped_among_others_is_lost_work(sizes: list[int], skipped: st.DataObject) -> None:
    at = skipped.draw(st.integers(1, len(sizes)))
    around = [*sizes[:at], FAILS, *sizes[at:], *sizes, *sizes]
    assert how(observed(*around)) is Recovery.SKIPPED


def test_a_search_that_never_made_a_step_is_known_by_asking_for_less_each_time() -> None:
    assert how(observed(FAILS, FAILS, FAILS, 4, 4, 4, requested=(400, 200, 100))) is Recovery.SEARCHED
    assert how(observed(FAILS, FAILS, 4, 4, 4, requested=(200, 200))) is Recovery.SKIPPED
    assert how(observed(FAILS, 4, 4, 4)) is Recovery.SKIPPED, "one failure says nothing"


def test_what_counts_begins_behind_the_step_that_began_with_the_failure() -> None:
    found = recovered(observed(8, FAILS, 4, 4, 4))
    assert found is not None
    assert (found.how, found.since, found.retries) == (Recovery.SEARCHED, 6, 0)


def test_too_few_steps_after_it_prove_nothing() -> None:
    assert how(observed(8, FAILS, 4)) is Recovery.SKIPPED


def test_without_a_failure_or_with_one_that_ended_it_there_is_no_recovery() -> None:
    assert recovered(observed(4, 4)) is None
    ended = observed(8, FAILS)
    ended.failed = Failed(error="OutOfMemoryError", oom=True)
    assert recovered(ended) is None


@given(st.lists(st.sampled_from([FAILS, 4]), max_size=6), st.booleans(), st.booleans(), st.integers(0, 2))
def test_a_process_ran_out_if_that_was_its_last_and_something_failed(
    steps: list[int], command_failed: bool, killed: bool, code: int
) -> None:
    seen = observed(*steps)
    seen.end = None if killed else End(how="finished", code=code)
    note_who_ran_out([seen], command_failed=command_failed)
    last = bool(steps) and steps[-1] == FAILS
    assert seen.ran_out == (last and (command_failed or killed or code > 0))
    assert (how(seen) is None) == (seen.ran_out or FAILS not in steps)


@pytest.mark.parametrize("what", ["backward+", "backward-"])
def test_of_a_process_that_was_killed_the_last_mark_says_whether_it_went_on(what: str) -> None:
    seen = observed(4, FAILS)
    seen.marks.append(Mark(what, 3, None, {}))  # two are among the events
    assert asked_for_nothing_more(seen) == (what == "backward-")


@pytest.mark.parametrize(
    ("ended", "code", "cut_off", "failed"),
    [
        (How.FINISHED, 0, (), False),
        (How.FAILED, 1, (), True),
        (How.KILLED, 137, (), True),
        (How.ANSWERED, 0, (), False),
        (How.ANSWERED, 1, (), True),
        (How.ANSWERED, 143, (7,), False),
        (How.TIMEOUT, 124, (), False),
        (How.INTERRUPTED, 130, (), False),
    ],
)
def test_an_exit_code_says_something_where_we_did_not_end_the_command(
    ended: How, code: int, cut_off: tuple[int, ...], failed: bool
) -> None:
    assert failed_by_itself(Ending(how=ended, exit_code=code), cut_off) == failed
