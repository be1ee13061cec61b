"""The site's two themes: every ink can be read on its ground, and both themes have every colour."""

from __future__ import annotations

import pytest

from nanocheck.report.html import palette
from nanocheck.report.site import theme


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["text", "quiet", "accent", "good", "warn", "bad"])
def test_every_ink_can_be_read_on_every_ground_it_stands_on(ink: str, dark: bool) -> None:
    colours = theme.colours(dark=dark)
    grounds = ["page", "panel"]
    if ink in ("good", "warn", "bad"):
        grounds.append(f"{ink}-soft")
    for ground in grounds:
        light, deep = sorted((palette.luminance(colours[each]) for each in (ink, ground)), reverse=True)
        assert (light + 0.05) / (deep + 0.05) >= 4.5, ground
    # The button of the form: the page's colour on the accent.
    light, deep = sorted((palette.luminance(colours[each]) for each in ("accent", "page")), reverse=True)
    assert (light + 0.05) / (deep + 0.05) >= 4.5


def test_the_two_themes_can_be_chosen_and_each_has_every_colour() -> None:
    light, dark = theme.colours(dark=False), theme.colours(dark=True)
    assert light.keys() == dark.keys()
    assert all(light[each] != dark[each] for each in ("page", "text", "good", "bad"))
    style = theme.style()
    assert style.count(f"--page: {dark['page']}") == 2
    assert style.count(f"--page: {light['page']}") == 1
