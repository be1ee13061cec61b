"""A Python of another environment, started again with its own virtual GPU, has all cards of the machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.machine import MOST_CARDS
from nanocheck.measuring.command_environment import VISIBLE, child_environment
from nanocheck.observe import relaunch


def started_again_with(environment: dict[str, str]) -> dict[str, str]:
    """The environment of the second start, which is not made."""
    caught: dict[str, Any] = {}

    def execve(_python: str, _arguments: list[str], found: dict[str, str]) -> None:
        caught.update(found)

    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(os, "execve", execve),
        mock.patch.object(relaunch, "_prepared", return_value={"environment": {"LD_PRELOAD": "theirs"}}),
        mock.patch.object(relaunch, "torch_folder", return_value="/theirs/torch"),
    ):
        relaunch.where_another_torch_is()
    return caught


def machine(cards: int) -> Target:
    gpu = find_gpu("rtx4070")
    return Target(kind="virtual", gpu=gpu, platform="linux", reserve_bytes=0, cards=cards)


@given(cards=st.integers(1, MOST_CARDS))
def test_it_may_use_each_card(cards: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = child_environment(machine(cards), Path(folder), ours=False, base={})
    assert first[VISIBLE] == relaunch.NO_CARD  # nothing that runs without it finds a card
    found = started_again_with(first)
    assert found["LD_PRELOAD"] == "theirs"
    assert int(found["NANOCHECK_CARDS"]) == cards
    assert [int(each) for each in found[VISIBLE].split(",")] == list(range(cards))


@given(chosen=st.lists(st.integers(0, 7), min_size=1, unique=True))
def test_the_launchers_choice_stays(chosen: list[int]) -> None:
    text = ",".join(map(str, chosen))
    found = started_again_with(
        {relaunch.TOOL: "python", relaunch.TORCH: "/ours/torch", "NANOCHECK_CARDS": "8", VISIBLE: text}
    )
    assert found[VISIBLE] == text
