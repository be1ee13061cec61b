"""Whether a run is measured or virtual, and why."""

from __future__ import annotations

import pytest

from nanocheck.core.device_selection import RealCard, choose_device, find_real_card
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.units import GIB

GPU = find_gpu("rtx4070")


def found(answer: RealCard | str, choice: str) -> tuple[str, str | None, str]:
    chosen = choose_device(GPU, choice, find=lambda: answer)
    return chosen.target.kind, chosen.target.capped_from, chosen.why


@pytest.mark.parametrize(
    ("answer", "choice", "expected"),
    [
        ("no driver", "auto", ("virtual", None, "no driver")),
        ("no driver", "virtual", ("virtual", None, "--device virtual")),
        (RealCard(GPU.name, 12 * GIB), "auto", ("real", None, f"{GPU.name} is here")),
        (RealCard(GPU.name, 12 * GIB), "real", ("real", None, f"{GPU.name} is here")),
        (RealCard(GPU.name, 12 * GIB), "virtual", ("virtual", None, "--device virtual")),
    ],
)
def test_what_is_there_decides(answer: RealCard | str, choice: str, expected: object) -> None:
    assert found(answer, choice) == expected


def test_a_card_of_the_same_name_and_another_size_is_another_card() -> None:
    small, large = find_gpu("rtx4060-ti"), find_gpu("rtx4060-ti-16gb")
    assert small.name == large.name
    here = RealCard(large.name, large.usable_bytes["linux"])
    assert choose_device(large, find=lambda: here).is_real
    chosen = choose_device(small, find=lambda: here)
    assert chosen.target.kind == "virtual"
    assert "with 15,948.12 MiB is here, not rtx4060-ti" in chosen.why
    stands_in = choose_device(small, "real", find=lambda: here).target
    assert stands_in.capped_from == large.name


def test_another_card_is_capped_only_when_asked_and_labelled() -> None:
    other = RealCard("NVIDIA L40S", 48 * GIB)
    assert found(other, "auto")[:2] == ("virtual", None)
    assert "NVIDIA L40S is here, not NVIDIA GeForce RTX 4070" in found(other, "auto")[2]
    assert found(other, "real")[:2] == ("real", "NVIDIA L40S")


def test_a_smaller_card_cannot_stand_in() -> None:
    with pytest.raises(RequestError, match=r"at least 11,874.00 MiB .* found NVIDIA T4 with 8,192.00 MiB"):
        found(RealCard("NVIDIA T4", 8 * GIB), "real")


def test_real_without_a_card_is_this_machines_fault() -> None:
    with pytest.raises(MachineError, match="found none: no driver"):
        found("no driver", "real")


def test_an_unknown_choice() -> None:
    with pytest.raises(RequestError, match="expected one of auto, real, virtual"):
        found("no driver", "both")


def test_reserve_and_platform_reach_the_device() -> None:
    device = choose_device(GPU, "virtual", platform="windows", reserve_bytes=GIB).target.device
    assert (device.platform, device.reserve_bytes) == ("windows", GIB)


@pytest.mark.parametrize(
    "answer", ["raise SystemExit(3)", "print('garbage')", "print('{}')", "import os; os.abort()"]
)
def test_a_driver_that_answers_nonsense_is_no_card(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocheck.core.device_selection._DRIVER_QUERY", answer)
    assert "the NVIDIA driver did not answer" in str(find_real_card())
