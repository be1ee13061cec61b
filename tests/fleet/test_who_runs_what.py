"""Whatever stations do, each configuration gets one answer: by stations that only pretend."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fleet_crews import FakeCrew, FakePost, answer
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Outcome
from nanocheck.fleet.fleet_measurement import FleetMeasurement
from nanocheck.fleet.messages import MOST_LOSSES, Kind
from nanocheck.measuring.configurations import Measurement
from nanocheck.process.journal import Journal

VIRTUAL = Kind("virtual")


def target(gpu: str = "rtx4070", kind: str = "virtual") -> Target:
    return Target(kind=kind, gpu=find_gpu(gpu))


def configs(count: int) -> list[StepConfig]:
    return [StepConfig(batch=batch) for batch in range(1, count + 1)]


def all_at_once(post: FakePost) -> int:
    return len(post.has)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 40), st.data(), st.integers(0, 6))
def test_each_configuration_is_answered_once(
    workers: list[int], count: int, data: st.DataObject, bad: int
) -> None:
    """Stations are lost at any moment, and one configuration is the end of each that has it."""
    lost = Counter[str]()

    def choose(post: FakePost) -> int | None:
        if any(item.config.batch == bad for item in post.has[: post.workers]):
            lost.update(item.key for item in post.has)
            return None
        if sum(lost.values()) < 30 and data.draw(st.integers(0, 9)) == 0:
            lost.update(item.key for item in post.has)
            return None
        return data.draw(st.integers(-1, min(post.workers, len(post.has))))

    crew = FakeCrew({VIRTUAL: workers}, choose)
    with FleetMeasurement(target(), crew) as fleet:
        asked = [fleet.submit(config) for config in configs(count)]
        results = [pending.result() for pending in asked]
        assert [each.config for each in results] == configs(count)
        for pending, found in zip(asked, results, strict=True):
            key = pending.item.key
            if found.outcome is Outcome.COMPLETED:
                assert found == answer(pending.item)
                assert crew.begun[key] == lost[key] + 1  # never again once it has an answer
            else:
                assert found.outcome is Outcome.CRASHED
                assert crew.begun[key] == lost[key] == MOST_LOSSES
        if 0 < bad <= count:
            assert results[bad - 1].outcome is Outcome.CRASHED
    assert crew.closed == 1


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(2, 40), st.integers(1, 40))
def test_a_configuration_that_ends_stations_condemns_no_other(
    workers: list[int], count: int, bad: int
) -> None:
    bad = min(bad, count)

    def choose(post: FakePost) -> int | None:
        return None if any(item.config.batch == bad for item in post.has) else 1

    with FleetMeasurement(target(), FakeCrew({VIRTUAL: workers}, choose)) as fleet:
        asked = [fleet.submit(config) for config in configs(count)]
        outcomes = [pending.result().outcome for pending in asked]
    assert outcomes.count(Outcome.CRASHED) == 1
    assert outcomes[bad - 1] is Outcome.CRASHED
    assert "lost while they ran it" in asked[bad - 1].result().detail


def test_each_kind_runs_where_it_is_and_a_kind_nobody_has_is_refused_at_once() -> None:
    crew = FakeCrew({VIRTUAL: [1], Kind("real", "rtx4070"): [1]}, all_at_once)
    with FleetMeasurement(target(), crew) as fleet:
        asked = [
            fleet.submit(config, target=on)
            for config in configs(5)
            for on in (target(), target(kind="real"), target("rtx3090"))
        ]
        with pytest.raises(MachineError, match="nobody has"):
            fleet.submit(configs(1)[0], target=target("rtx3090", "real"))
        results = [each.result() for each in asked]
    assert [each.device for each in results] == [each.target.device for each in asked]
    assert {fleet.ran_at[each.item.key].split()[0] for each in asked if each.target.kind == "real"} == {
        "rtx4070"
    }
    assert max(crew.begun.values()) == 1


def test_the_last_station_s_end_is_told_and_nothing_waits_for_ever() -> None:
    crew = FakeCrew({VIRTUAL: [2]}, lambda post: None, spare=0)
    fleet = FleetMeasurement(target(), crew)
    pending = fleet.submit(configs(1)[0])
    with pytest.raises(MachineError, match="none left: all are gone") as caught:
        pending.result()
    assert caught.value.exit_code == 3
    assert crew.closed
    with pytest.raises(MachineError, match="closed"):
        pending.result()


def test_a_fleet_goes_on_where_one_machine_stopped_and_the_other_way(tmp_path: Path) -> None:
    path, wanted = tmp_path / "journal.jsonl", configs(6)
    with Journal(path, {}) as journal:
        alone = Measurement(target(), journal=journal)
        first = FleetMeasurement(target(), FakeCrew({VIRTUAL: [1]}, all_at_once), journal=journal)
        found = [first.submit(config).result() for config in wanted[:3]]
        assert set(journal) == {alone.key(config) for config in wanted[:3]}
        assert [alone.submit(config).found for config in wanted[:3]] == found
    content = path.read_bytes()
    with Journal(path, {}) as journal:
        crew = FakeCrew({VIRTUAL: [2]}, all_at_once)
        fleet = FleetMeasurement(target(), crew, journal=journal)
        assert [fleet.submit(config).result() for config in wanted[:3]] == found
        assert path.read_bytes() == content
        for config in wanted:
            fleet.submit(config).result()
        assert len(journal) == len(wanted)
        assert set(crew.begun) == {alone.key(config) for config in wanted[3:]}


def test_a_station_that_answers_nonsense_gives_no_answer(tmp_path: Path) -> None:
    crew = FakeCrew({VIRTUAL: [1]}, all_at_once)
    with (
        Journal(tmp_path / "journal.jsonl", {}) as journal,
        FleetMeasurement(target(), crew, journal=journal) as fleet,
    ):
        pending = fleet.submit(configs(1)[0])
        other = fleet.submit(configs(2)[1])
        # The second's answer under the first's name, as of a station that mixes them up.
        crew.begin = lambda post, items, patience: FakeCrew.begin(  # type: ignore[method-assign]
            crew, post, [type(each)(**{**vars(each), "config": other.config}) for each in items], patience
        )
        assert pending.result().outcome is Outcome.CRASHED
        assert "another configuration" in pending.result().detail
        assert pending.item.key not in journal
