"""The cards of one machine: leased by UUID, one configuration at a time, and none beside others.

``nvidia-smi`` is a stand-in that prints what the test says; configurations say which card they were given.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
from pathlib import Path

import fleet_tasks
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import HELPERS, ROOT

from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Outcome
from nanocheck.fleet import cards
from nanocheck.fleet.card_crew import CardCrew
from nanocheck.fleet.cards import Card, CardLease, cards_here, lease, users_of, visible
from nanocheck.fleet.choose import measurement
from nanocheck.fleet.fleet_measurement import FleetMeasurement
from nanocheck.fleet.messages import Item, Setup
from nanocheck.fleet.station import Station
from nanocheck.measuring.configurations import Measurement

NAME = "NVIDIA GeForce RTX 4070"
ONE, TWO, THREE = (f"GPU-{digit * 8}-0000-0000-0000-000000000000" for digit in "abc")
SMI = """#!/bin/sh
case "$1" in
  --query-gpu=*) cat "{folder}/cards" ;;
  --query-compute-apps=*) cat "{folder}/users" ;;
esac
"""


class Machine:
    """A machine's cards and who uses them, as nvidia-smi says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "bin" / "nvidia-smi"
        program.parent.mkdir()
        program.write_text(SMI.format(folder=folder))
        program.chmod(0o755)
        self.has(ONE, TWO)
        self.used({})

    def has(self, *uuids: str, name: str = NAME, mig: str = "[N/A]", mib: int = 12282) -> None:
        (self.folder / "cards").write_text("".join(f"{each}, {name}, {mib}, {mig}\n" for each in uuids))

    def used(self, users: dict[str, int]) -> None:
        (self.folder / "users").write_text("".join(f"{uuid}, {pid}\n" for uuid, pid in users.items()))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cards, "_LINGERING_S", 0.0)
    return Machine(tmp_path)


@pytest.fixture
def target() -> Target:
    return Target(kind="real", gpu=find_gpu("rtx4070"))


def leased(uuid: str) -> CardLease | None:
    return lease(next(each for each in cards_here() if each.uuid == uuid))


def test_cards_are_known_by_uuid_and_nothing_else_becomes_a_file(machine: Machine) -> None:
    assert [each.uuid for each in cards_here()] == [ONE, TWO]
    machine.has("GPU-../../../../etc/passwd", "0", THREE)
    assert [each.uuid for each in cards_here()] == [THREE]
    machine.has(ONE, mig="Enabled")
    assert cards_here() == ()
    (machine.folder / "bin" / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert cards_here() == ()


@given(st.lists(st.sampled_from(["0", "1", "2", "7", "-1", "GPU-a", ONE, TWO, THREE, "", "x"]), max_size=4))
def test_a_choice_of_cards_is_never_widened(words: list[str]) -> None:
    alike = [Card(uuid, NAME, 1 << 33) for uuid in (ONE, TWO, THREE)]
    found = visible(alike, {"CUDA_VISIBLE_DEVICES": ",".join(words)})
    known = {**{str(i): each for i, each in enumerate(alike)}, "GPU-a": alike[0]}
    known |= {each.uuid: each for each in alike}
    assert set(found) <= {known[word] for word in words if word in known}
    assert len(set(found)) == len(found)
    assert bool(found) == bool(words and words[0] in known)


def test_numbers_of_unlike_cards_name_none() -> None:
    unlike = [Card(ONE, NAME, 1), Card(TWO, "NVIDIA L4", 1)]
    assert visible(unlike, {"CUDA_VISIBLE_DEVICES": "1"}) == ()
    assert visible(unlike, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == (unlike[1],)
    assert visible(unlike, {}) == tuple(unlike)


def test_a_lease_ends_with_its_process_however_it_ends(machine: Machine) -> None:
    """Nothing has to be tidied up after a run that was killed: the kernel gives the card back."""
    code = "import test_cards as t; held = t.leased(t.ONE); print('held', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{Path(__file__).parent}:{HELPERS}:{ROOT}", **_environment(machine)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert leased(ONE) is None
        other = leased(TWO)
        assert other is not None
        other.release()
        process.send_signal(signal.SIGKILL)
    ours = leased(ONE)
    assert ours is not None
    assert leased(ONE) is None  # not even this process has it twice
    ours.release()
    ours.release()
    assert leased(ONE) is not None


def _environment(machine: Machine) -> dict[str, str]:
    return {
        "PATH": f"{machine.folder / 'bin'}:/usr/bin:/bin",
        "NANOCHECK_CACHE": str(machine.folder / "cache"),
    }


def test_each_card_runs_one_configuration_at_a_time_and_all_cards_run(
    machine: Machine, target: Target, tmp_path: Path
) -> None:
    options = fleet_tasks.options(tmp_path, FLEET_SECONDS="0.1")
    with FleetMeasurement(target, CardCrew(), **options) as fleet:
        asked = [fleet.submit(config) for config in fleet_tasks.configs(*range(1, 9))]
        assert all(pending.result().outcome is Outcome.COMPLETED for pending in asked)
        assert leased(ONE) is None
    ran = fleet_tasks.runs(tmp_path)
    assert sorted(run["batch"] for run in ran) == list(range(1, 9))
    assert {run["card"] for run in ran} == {ONE, TWO}
    for uuid in (ONE, TWO):
        spans = sorted((run["from"], run["until"]) for run in ran if run["card"] == uuid)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert max(run["from"] for run in ran) > min(run["until"] for run in ran)
    assert leased(ONE) is not None


def test_a_card_that_others_use_measures_nothing(
    machine: Machine, target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.used({TWO: 4711, THREE: 4712})
    assert users_of(TWO) == (4711,)
    with FleetMeasurement(target, CardCrew(), **fleet_tasks.options(tmp_path)) as fleet:
        asked = [fleet.submit(config) for config in fleet_tasks.configs(1, 2, 3)]
        assert all(pending.result().outcome is Outcome.COMPLETED for pending in asked)
    assert {run["card"] for run in fleet_tasks.runs(tmp_path)} == {ONE}
    assert "4711" in capsys.readouterr().err
    machine.used({ONE: 4713, TWO: 4711})
    with FleetMeasurement(target, CardCrew(), **fleet_tasks.options(tmp_path)) as fleet:
        pending = fleet.submit(fleet_tasks.configs(9)[0])
        with pytest.raises(MachineError, match=r"4711.*no baseline") as caught:
            pending.result()
    assert caught.value.exit_code == 3
    assert 9 not in {run["batch"] for run in fleet_tasks.runs(tmp_path, "begun")}


def test_what_ran_beside_somebody_who_came_later_does_not_count(
    machine: Machine, target: Target, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    with FleetMeasurement(target, CardCrew(), **fleet_tasks.options(tmp_path)) as fleet:
        (config,) = fleet_tasks.configs(1, seed=fleet_tasks.HELD)
        pending = fleet.submit(config)
        while not fleet_tasks.runs(tmp_path, "begun"):
            fleet.wait(0.1)
        first = fleet_tasks.runs(tmp_path, "begun")[0]["card"]
        machine.used({first: 4711})
        (tmp_path / "hold").unlink()
        assert pending.result().outcome is Outcome.COMPLETED
    assert [run["card"] for run in fleet_tasks.runs(tmp_path)] == [first, *({ONE, TWO} - {first})]


def test_our_own_processes_are_no_others(machine: Machine, target: Target, tmp_path: Path) -> None:
    """The card is looked at only while nothing of ours is on it."""
    options = fleet_tasks.options(tmp_path)
    setup = Setup(target=target, **{**options, "preload": ()})
    first, second = (
        Item(key=str(each.batch), config=each, target=target)
        for each in fleet_tasks.configs(1, 2, seed=fleet_tasks.HELD)
    )
    hold = tmp_path / "hold"
    hold.touch()
    with contextlib.closing(Station(setup, 1, leased(ONE))) as station:
        assert station.exchange([first], 0.0).answers == ()
        fleet_tasks.wait_until(
            lambda: station.exchange([], 0.05).answers == () and bool(fleet_tasks.runs(tmp_path, "begun"))
        )
        machine.used({ONE: fleet_tasks.runs(tmp_path, "begun")[0]["pid"]})
        assert station.exchange([second], 0.05).answers == ()
        machine.used({})
        hold.unlink()
        answered: list[str] = []
        while len(answered) < 2:
            answered += [key for key, _ in station.exchange([], 5.0).answers]
    assert answered == ["1", "2"]


def test_what_others_hold_can_be_said_instead(machine: Machine, target: Target, tmp_path: Path) -> None:
    machine.used({ONE: 4711, TWO: 4711})
    reserved = Target(kind="real", gpu=target.gpu, reserve_bytes=1 << 30)
    with FleetMeasurement(reserved, CardCrew(), **fleet_tasks.options(tmp_path)) as fleet:
        assert fleet.submit(fleet_tasks.configs(1)[0]).result().outcome is Outcome.COMPLETED


def test_who_measures_is_chosen_by_what_is_here(machine: Machine, target: Target) -> None:
    virtual = Target(kind="virtual", gpu=target.gpu)
    assert isinstance(measurement(virtual), Measurement)
    assert isinstance(measurement(target), FleetMeasurement)
    (machine.folder / "bin" / "nvidia-smi").unlink()
    assert isinstance(measurement(target), Measurement)
    machine.folder.joinpath("bin", "nvidia-smi").write_text(SMI.format(folder=machine.folder))
    machine.folder.joinpath("bin", "nvidia-smi").chmod(0o755)
    machine.has(ONE, name="NVIDIA L4")
    with (
        measurement(target) as fleet,
        pytest.raises(MachineError, match=r"expected a .*4070, found NVIDIA L4"),
    ):
        fleet.submit(fleet_tasks.configs(1)[0]).result()


def test_a_card_of_the_same_name_and_another_size_is_another(machine: Machine, target: Target) -> None:
    machine.has(ONE, mib=16376)
    with measurement(target) as fleet, pytest.raises(MachineError, match="expected a"):
        fleet.submit(fleet_tasks.configs(1)[0]).result()


def test_all_cards_leased_is_told(machine: Machine, target: Target) -> None:
    held = [leased(ONE), leased(TWO)]
    assert all(held)
    with measurement(target) as fleet, pytest.raises(MachineError, match="all 2 leased to another run"):
        fleet.submit(fleet_tasks.configs(1)[0]).result()
