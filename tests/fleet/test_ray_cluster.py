"""A Ray cluster of fake nodes on this machine: who runs what, and what survives whom."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fleet_tasks
import pytest
from paths import HELPERS, ROOT

from nanocheck.cli import main
from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Outcome
from nanocheck.fleet.choose import cluster_at, select
from nanocheck.fleet.fleet_measurement import FleetMeasurement
from nanocheck.measuring.configurations import Measurement
from nanocheck.process.jobs import Deadlines

DRIVER = HELPERS / "fleet_driver.py"
#: Until stations have started, or have been found dead, on a busy machine.
LONG = 60.0


def target(kind: str = "cpu", gpu: str = "rtx4070") -> Target:
    """The CPU, so that no virtual GPU is built."""
    return Target(kind=kind, gpu=find_gpu(gpu))


def fleet_on(cluster: Any, folder: Path, **options: Any) -> FleetMeasurement:
    from nanocheck.fleet.ray_crew import RayCrew

    return FleetMeasurement(target(), RayCrew(cluster), **{**fleet_tasks.options(folder), **options})


def test_a_run_is_placed_where_what_it_needs_is(cluster: Any, tmp_path: Path) -> None:
    """Measured runs on the node with the card, and virtual ones on every processor."""
    options = fleet_tasks.options(tmp_path, FLEET_SECONDS="0.05")
    with fleet_on(cluster, tmp_path, **options) as fleet:
        measured = [
            fleet.submit(config, target=target("real")) for config in fleet_tasks.configs(*range(1, 6))
        ]
        assert all(each.result().outcome is Outcome.COMPLETED for each in measured)
    assert {run["node"] for run in fleet_tasks.runs(tmp_path)} == {"card"}
    with fleet_on(cluster, tmp_path, **options) as fleet:
        anywhere = [fleet.submit(config) for config in fleet_tasks.configs(*range(11, 31))]
        assert all(each.result().outcome is Outcome.COMPLETED for each in anywhere)
        names = {fleet.ran_at[each.item.key] for each in anywhere}
    ran = [run for run in fleet_tasks.runs(tmp_path) if run["batch"] > 10]
    assert {run["node"] for run in ran} == {"plain", "card"}
    assert names == {"node 1", "node 2"}  # and not what the machines are called
    assert len({run["server"] for run in ran}) == 2  # one fork server a node, however many configurations
    assert Counter(run["batch"] for run in ran) == Counter(range(11, 31))


def test_a_kind_nobody_has_is_refused_at_once(cluster: Any, tmp_path: Path) -> None:
    """Where it is asked for, and not where somebody waits for it."""
    with fleet_on(cluster, tmp_path) as fleet, pytest.raises(MachineError) as caught:
        fleet.submit(fleet_tasks.configs(1)[0], target=target("real", "rtx3090"))
    assert "nanocheck:rtx3090" in str(caught.value)
    assert "nanocheck:rtx4070 1" in str(caught.value)  # what there is instead
    assert not fleet_tasks.runs(tmp_path, "begun")


def test_the_real_card_is_looked_for_on_the_cluster(cluster: Any) -> None:
    assert select(CardQuestion(gpu="rtx4070"), cluster).target.kind == "real"
    assert select(CardQuestion(gpu="rtx3090"), cluster).target.kind == "virtual"
    with pytest.raises(MachineError, match="nanocheck:rtx3090"):
        select(CardQuestion(gpu="rtx3090", device="real"), cluster)


def test_what_fails_is_told_and_not_tried_again(cluster: Any, tmp_path: Path) -> None:
    with fleet_on(cluster, tmp_path, deadlines=Deadlines(stages={"hanging": 0.3})) as fleet:
        crash, hang = (
            fleet.submit(*fleet_tasks.configs(1, seed=seed))
            for seed in (fleet_tasks.ABORTS, fleet_tasks.HANGS)
        )
        fine = [fleet.submit(config) for config in fleet_tasks.configs(*range(2, 8))]
        assert all(each.result().outcome is Outcome.COMPLETED for each in fine)
        assert crash.result().outcome is Outcome.CRASHED
        assert "SIGABRT" in crash.result().detail
        assert hang.result().outcome is Outcome.TIMEOUT
    assert Counter(run["batch"] for run in fleet_tasks.runs(tmp_path, "begun"))[1] == 2


def test_a_configuration_that_ends_its_station_is_given_up_and_no_other(cluster: Any, tmp_path: Path) -> None:
    with fleet_on(cluster, tmp_path) as fleet:
        deadly = fleet.submit(*fleet_tasks.configs(1, seed=fleet_tasks.ENDS_ITS_STATION))
        fine = [fleet.submit(config) for config in fleet_tasks.configs(*range(2, 6))]
        assert all(each.result().outcome is Outcome.COMPLETED for each in fine)
        found = deadly.result()
    assert found.outcome is Outcome.CRASHED
    assert "3 stations were lost" in found.detail
    assert Counter(run["batch"] for run in fleet_tasks.runs(tmp_path, "begun"))[1] == 3


def test_what_a_lost_node_had_runs_elsewhere(
    fake_nodes: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weak = fake_nodes.add("weak")
    hold = tmp_path / "hold"
    hold.touch()
    # Enough that every node is at one that waits, however many the first to be ready have taken.
    held = fleet_tasks.configs(*range(1, 10), seed=fleet_tasks.HELD)
    with cluster_at(fake_nodes.address) as cluster, fleet_on(cluster, tmp_path) as fleet:
        asked = [fleet.submit(each) for each in held]

        def turned(condition: Callable[[], bool]) -> Callable[[], bool]:
            return lambda: (fleet.wait(0.05), condition())[1]

        fleet_tasks.wait_until(turned(lambda: len(fleet_tasks.runs(tmp_path, "begun")) == 3), LONG)
        (lost,) = (run for run in fleet_tasks.runs(tmp_path, "begun") if run["node"] == "weak")
        fake_nodes.remove(weak)
        fleet_tasks.wait_until(turned(lambda: not fleet_tasks.lives(lost["pid"])), LONG)
        hold.unlink()
        assert all(each.result().outcome is Outcome.COMPLETED for each in asked)
    ended = fleet_tasks.runs(tmp_path)
    assert Counter(run["batch"] for run in ended) == Counter(range(1, 10))
    assert all(run["node"] in ("plain", "card") for run in ended)
    printed = capfd.readouterr()
    assert "was lost" in printed.err
    assert printed.out == ""  # where a table or JSON may be


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_is_stopped_leaves_nothing_running_and_is_resumed(
    fake_nodes: Any, tmp_path: Path, number: signal.Signals
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    command = [sys.executable, str(DRIVER), fake_nodes.address, str(tmp_path), "4", "4"]
    options: dict[str, Any] = {"env": {**_environment(), "PYTHONPATH": f"{HELPERS}:{ROOT}"}, "text": True}
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    with driver:
        assert driver.stdout is not None
        answered = [driver.stdout.readline() for _ in range(4)]
        assert all(answered)
        # Both stations are at one that waits; the four that do not have ended.
        fleet_tasks.wait_until(lambda: len(fleet_tasks.runs(tmp_path, "begun")) == 6, LONG)
        driver.send_signal(number)
    stopped = fleet_tasks.runs(tmp_path, "begun")
    for run in stopped:
        fleet_tasks.wait_until(lambda run=run: not fleet_tasks.lives(run["pid"]))
        fleet_tasks.wait_until(lambda run=run: not fleet_tasks.lives(run["server"]))
    hold.unlink()
    again = subprocess.run(command, capture_output=True, timeout=120, check=False, **options)
    assert again.returncode == 0, again.stderr
    ended = Counter((run["batch"]) for run in fleet_tasks.runs(tmp_path))
    assert ended == Counter(dict.fromkeys(range(1, 5), 2))  # a quick one and a held one each, once
    assert len(again.stdout.splitlines()) == 8


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_nodes_of_other_sources_are_left_out(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nanocheck.fleet import ray_crew

    ours = ray_crew.versions()
    monkeypatch.setattr(ray_crew, "versions", lambda: {**ours, "torch": "1.0", "nanocheck": "0"})
    with fleet_on(cluster, tmp_path) as fleet, pytest.raises(MachineError, match="none left"):
        fleet.submit(fleet_tasks.configs(1)[0]).result()
    assert "other sources of nanocheck, torch" in capsys.readouterr().err
    assert not fleet_tasks.runs(tmp_path, "begun")


@pytest.mark.parametrize("address", ["ray://host:10001", "nowhere", "host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(RequestError, match="--ray: expected local, auto, or"), cluster_at(address):
        pass


def test_nobody_at_the_address_is_told_before_ray_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would for half a minute."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", None)
    with (
        pytest.raises(MachineError, match=r"expected a Ray cluster at 127\.0\.0\.1:9"),
        cluster_at("127.0.0.1:9"),
    ):
        pass


def test_without_ray_only_who_asks_for_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MachineError, match="expected Ray") as caught, cluster_at("local"):
        pass
    assert caught.value.exit_code == 3
    assert "pytest-nanocheck[ray]" in str(caught.value.hint)
    with cluster_at("") as nobody:
        assert nobody is None
    assert main(["gpus"]) == 0
    capsys.readouterr()
    assert isinstance(Measurement(target()), Measurement)
