"""Ranks leave after the same step or a later one, and never before all of them know their answers."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.observe.stopping_together import MOST, StoppingTogether


@given(
    known_at=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    order=st.lists(st.integers(0, 3), max_size=80),
)
def test_nobody_leaves_before_a_step_that_another_still_needs(known_at: list[int], order: list[int]) -> None:
    """Ranks go on in any order; each stops where it may."""
    ranks = range(len(known_at))
    with tempfile.TemporaryDirectory() as folder:
        each = [StoppingTogether(Path(folder)) for _ in ranks]
        done, left = [0] * len(known_at), [False] * len(known_at)
        for rank in [rank % len(known_at) for rank in order] + [*ranks] * (MOST // 2):
            if left[rank]:
                continue
            done[rank] += 1
            known = done[rank] >= known_at[rank]
            left[rank] = each[rank].may_stop(done[rank], known=known, own=rank, ranks=ranks)
            if left[rank] and len(ranks) > 1:
                assert all(count >= known for count, known in zip(done, known_at, strict=True))
                assert done[rank] > max(known_at)
    assert all(left)
    if len(ranks) == 1:
        assert done == known_at


def test_a_rank_that_never_knows_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    one = StoppingTogether(tmp_path)
    stops = [one.may_stop(step, known=step >= 3, own=0, ranks=(0, 1)) for step in range(1, MOST + 10)]
    assert stops.index(True) + 1 == MOST + 3
