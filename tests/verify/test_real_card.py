"""Which card of the catalog the driver's card is, and what is said where it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocheck.core.device_selection import RealCard
from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.gpus import find_gpu, load_catalog
from nanocheck.verify.real_card import choose_card


@pytest.mark.parametrize(
    "gpu", [gpu for gpu in load_catalog().values() if "linux" in gpu.usable_bytes], ids=lambda gpu: gpu.id
)
def test_every_card_is_found_by_its_name_and_size(gpu: object) -> None:
    card = find_gpu(gpu.id)  # type: ignore[attr-defined]
    for size in (0.985, 1, 1.015):  # drivers differ
        assert choose_card(RealCard(card.name, round(card.usable_bytes["linux"] * size)), None) == card


def test_no_card_says_what_was_expected_and_what_helps() -> None:
    with pytest.raises(MachineError, match="no NVIDIA driver") as caught:
        choose_card("no NVIDIA driver was found", "h100")
    assert "NVIDIA H100 80GB HBM3" in caught.value.problem
    assert "--pre-register" in str(caught.value.hint)


def test_the_virtual_gpu_is_never_taken_for_a_real_card() -> None:
    card = find_gpu("h100")
    with pytest.raises(MachineError, match="virtual GPU"):
        choose_card(RealCard(card.name, card.usable_bytes["linux"], virtual=True), None)


def test_another_card_than_was_asked_for_is_refused() -> None:
    """Also where both have the same memory."""
    other, asked = find_gpu("rtx4070-super"), find_gpu("rtx4070")
    assert other.usable_bytes["linux"] == asked.usable_bytes["linux"]
    with pytest.raises(RequestError, match="RTX 4070 SUPER"):
        choose_card(RealCard(other.name, other.usable_bytes["linux"]), "rtx4070")


@pytest.mark.parametrize(
    "found", [RealCard("NVIDIA H20", 102_000_000_000), RealCard("Tesla T4", 30_000_000_000)]
)
def test_what_the_catalog_does_not_hold_is_named(found: RealCard) -> None:
    with pytest.raises(RequestError, match=found.name) as caught:
        choose_card(found, None)
    assert f"linux_usable_mib = {found.total_bytes / 2**20:g}" in str(caught.value.hint)


def test_a_file_with_further_cards_makes_it_known(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[gpu.t4]\nlinux_usable_mib = 14000\n[gpu.t4.sources]\nlinux_usable_mib = "a reading of one\'s own"\n'
    )
    found = RealCard("Tesla T4", 14000 << 20)
    with pytest.raises(RequestError):
        choose_card(found, None)
    assert choose_card(found, None, [path]).usable_bytes["linux"] == 14000 << 20
