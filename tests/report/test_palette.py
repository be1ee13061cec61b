"""The groups' colours stay apart for every eye, and names written on them can be read."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from nanocheck.report.html import palette

Floats = npt.NDArray[np.float64]

#: Linear RGB to linear RGB as seen; Machado, Oliveira and Fernandes 2009, severity 1.0.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
#: Linear RGB to cone responses, and those, cube-rooted, to OKLab (Ottosson 2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> Floats:
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def seen(colour: str, sight: Floats) -> Floats:
    lab: Floats = TO_LAB @ np.cbrt(TO_CONES @ np.clip(sight @ linear(colour), 0, 1))
    return lab


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_groups_are_told_apart(sight: str) -> None:
    # 0.02 is about the least difference that is seen in OKLab at all.
    for one, other in combinations(palette.STACK, 2):
        apart = np.linalg.norm(
            seen(palette.STACK[one], SIGHT[sight]) - seen(palette.STACK[other], SIGHT[sight])
        )
        assert apart > 0.075, (one, other, apart)


def test_names_on_the_colours_have_contrast() -> None:
    for rule in palette.style().splitlines():
        ground, ink = (part.split(";")[0].rstrip("}") for part in rule.split(":")[1:])
        black_or_white = 0.0 if ink == "#000" else 1.0
        light, dark = sorted((palette.luminance(ground), black_or_white), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, rule


def test_strangers_get_a_colour_and_a_place_below_what_nobody_holds() -> None:
    own = palette.Palette(["mystery", "parameters", "unnamed", "other"])
    assert own.stacked(["unnamed", "mystery", "parameters", "other"]) == [
        "parameters",
        "mystery",
        "other",
        "unnamed",
    ]
    assert own.css("mystery") != own.css("other")
    assert f".{own.css('mystery')}{{" in palette.style()
