"""Hosts of published machines, read from rows that take equally long whatever the card has to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st


def _run(hosts, real: float, card: float, launches: int = 1000, table: str = "a"):
    return hosts.Run(table=(table,), launches=launches, real=real, card=card)


@given(each=st.floats(1e-6, 1e-4), layers=st.lists(st.integers(1, 50), min_size=2, max_size=6, unique=True))
def test_rows_that_follow_the_launches_show_the_host(script, each: float, layers: list[int]) -> None:
    """Twice as wide, the same time for a launch: only the host can be what decides the lighter row."""
    hosts = script("hosts")
    runs = [
        _run(hosts, real=each * 100 * count, card=1e-7 * 100 * count * 2**at, launches=100 * count)
        for at, count in enumerate(layers)
    ]
    found, used = hosts.hosts(runs)
    assert found[("a",)] == pytest.approx(each)
    assert len(used) == 1
    assert len(runs) - 1 not in used  # the heaviest shows nothing


@given(factor=st.floats(0.5, 2.0))
def test_rows_that_follow_the_card_show_no_host(script, factor: float) -> None:
    """However wrong the model is, as long as it is equally wrong."""
    hosts = script("hosts")
    runs = [_run(hosts, real=factor * card, card=card) for card in (0.01, 0.02, 0.04, 0.08)]
    assert hosts.hosts(runs) == ({}, set())


def test_a_host_speaks_for_its_own_table_alone(script) -> None:
    hosts = script("hosts")
    runs = [_run(hosts, 0.02, 0.004), _run(hosts, 0.02, 0.008), _run(hosts, 0.05, 0.04, table="b")]
    found, used = hosts.hosts(runs)
    assert found == {("a",): pytest.approx(2e-5)}
    assert used == {0}
