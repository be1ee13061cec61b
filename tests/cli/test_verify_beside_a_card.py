"""The verb on a machine with a card, which no machine of ours is: what the card would say is made up here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_up_verification import CARD, MODELLED, measured, observed
from msgspec.structs import replace

from nanocheck.cli import main
from nanocheck.core import device_selection
from nanocheck.core.device import Target
from nanocheck.core.device_selection import RealCard
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Environment, Provenance
from nanocheck.verify import own_card, sides
from nanocheck.verify.cases import Case
from nanocheck.verify.observed import Observed
from nanocheck.verify.record import load
from nanocheck.verify.sides import Machine
from nanocheck.verify.step_time import Modelled, StepTime

ONLY = ["--only", "plain,fp16"]


class Fake:
    """In the place of ``Side``: a real card called ``card``, and the virtual one."""

    card = CARD
    real = staticmethod(lambda case: measured())
    ran: list[str]

    def __init__(self, target: Target, gpus: tuple[Path, ...] = (), *, stand_in: bool = False) -> None:
        self.target = target

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def time(self, case: Case, limit_s: float) -> StepTime:
        return StepTime(provenance=Provenance.MEASURED, refused="nothing is timed here")

    def model(self, case: Case, limit_s: float) -> Modelled | None:
        return MODELLED

    def describe(self) -> Machine:
        real = self.target.kind == "real"
        gpu = self.target.gpu
        card = self.card if real else replace(self.card, usable_bytes=gpu.usable_bytes["linux"])
        figures: dict[str, Any] = {
            "name": card.name,
            "capability": card.capability,
            "sms": card.multiprocessors,
            "l2_mib": card.l2_bytes / 2**20,
            "bus_width_bits": 6144,
            "bandwidth_gb_s": 4800.0,
            "boost_mhz": 1980,
            "memory_mhz": 3201,
            "linux_usable_mib": card.usable_bytes / 2**20,
            "nominal_mib": card.usable_bytes / 2**20,
            "tgp_w": 700,
        }
        return Machine(
            card=card,
            environment=Environment(torch="2.11.0+cu130", cuda="13.0"),
            driver="580.65.06" if real else None,
            others_bytes=0,
            figures=figures,
        )

    def run(self, case: Case, limit_s: float) -> Observed:
        Fake.ran.append(f"{self.target.kind} {self.target.gpu.name} {case.id}")
        return type(self).real(case) if self.target.kind == "real" else observed()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sides, "Side", Fake)
    Fake.ran = []
    put_in(monkeypatch, "NVIDIA H100 80GB HBM3", find_gpu("h100").usable_bytes["linux"])


def put_in(monkeypatch: pytest.MonkeyPatch, name: str, size: int) -> None:
    """Another card is in the machine."""
    monkeypatch.setattr(Fake, "card", replace(CARD, name=name, usable_bytes=size))
    monkeypatch.setattr(device_selection, "find_real_card", lambda: RealCard(name, size))


def test_the_card_that_is_here_is_measured_beside_its_twin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *ONLY]) == 0
    file = load(Path("verify/verify.json"))
    assert file.is_measured
    assert (file.gpu, file.in_catalog, file.driver) == ("h100", True, "580.65.06")
    assert [each.split()[0] for each in Fake.ran] == ["real", "virtual"] * 3  # with compiled-fp16
    page = Path("verify/verify.html").read_text()
    assert "MEASURED" in page
    said = capsys.readouterr().out
    for shown in (page, said):
        assert "allocated, measured" in shown
        assert "stood in" not in shown


def test_a_difference_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Fake, "real", staticmethod(lambda case: measured(retries=3)))
    assert main(["verify", *ONLY]) == 1
    assert "retries: measured 3, virtual 0 (-3)" in capsys.readouterr().out


def test_usable_memory_of_another_driver_is_a_difference_of_the_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in(monkeypatch, "NVIDIA H100 80GB HBM3", find_gpu("h100").usable_bytes["linux"] + (4 << 20))
    assert main(["verify", *ONLY]) == 1
    assert "the card itself: usable" in capsys.readouterr().out


def test_a_card_that_the_catalog_does_not_hold_is_named_and_described_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in(monkeypatch, "NVIDIA B900", 150_109_880_320)
    assert main(["verify", *ONLY]) == 0
    file = load(Path("verify/verify.json"))
    assert (file.gpu, file.in_catalog) == ("nvidia-b900", False)
    assert {each.rpartition(" ")[0] for each in Fake.ran} == {"real NVIDIA B900", "virtual NVIDIA B900"}
    card = find_gpu("nvidia-b900", [Path("verify") / own_card.FILE])
    assert card.usable_bytes["linux"] == 150_109_880_320
    out, err = capsys.readouterr()
    assert "NVIDIA B900" in err
    assert "own description" in " ".join(out.split())


def test_a_card_of_another_kind_than_was_asked_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--gpu", "t4", *ONLY]) == 2
    assert "expected Tesla T4" in capsys.readouterr().err
    assert Fake.ran == []


def test_predictions_of_another_card_are_refused_beside_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--pre-register", "--gpu", "a100-80gb", *ONLY]) == 0
    assert {each.split()[0] for each in Fake.ran} == {"virtual"}
    Fake.ran = []
    for gpu in ([], ["--gpu", "h100"]):
        assert main(["verify", *gpu, *ONLY]) == 2
        assert "a100-80gb" in capsys.readouterr().err.replace("A100-SXM4-80GB", "a100-80gb")
    assert Fake.ran == []


def test_predictions_of_this_card_are_all_that_is_needed_of_the_virtual_side() -> None:
    assert main(["verify", "--pre-register", *ONLY]) == 0
    Fake.ran = []
    assert main(["verify"]) == 0
    assert {each.split()[0] for each in Fake.ran} == {"real"}
    file = load(Path("verify/verify.json"))
    assert file.is_measured
    assert file.predictions_sha256 is not None
    assert len(file.rows) == 3
