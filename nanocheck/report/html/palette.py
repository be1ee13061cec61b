"""The colours of the groups, and the order in which they are stacked. Everything that is coloured asks here.

One set serves the light and the dark page, so that two people see the same picture. The colours were
searched for the largest distance between any two of them, in OKLab, as seen with normal sight and with
protanopia, deuteranopia and tritanopia (matrices of Machado, Oliveira and Fernandes, 2009, severity 1.0);
``tests/report/test_palette.py`` measures it again.
"""

from __future__ import annotations

from collections.abc import Iterable

from nanocheck.core.result import Group, Holding, ProcessMemory

#: Bottom to top: what stays for the whole run lies below what comes and goes.
STACK = {
    "parameters": "#4b5cb7",
    "buffers and inputs": "#4ca660",
    "optimizer state": "#61307c",
    "gradients": "#72b2ff",
    "gradient buckets": "#89be81",
    "unsharded parameters": "#372fbb",
    "activations": "#e2b537",
    "logits and loss": "#a45600",
    "backward temporaries": "#e1da9d",
    "optimizer temporaries": "#9778d9",
    "communication buffers": "#fa6411",
    "evaluation": "#c691b6",
    "workspaces": "#5e8282",
    "rounding": "#b5cbd8",
    "unnamed": "#585b5f",
    "not in the history": "#753600",
}
#: For groups that this page has never heard of; used in turn, and not part of
#: what was searched.
SPARE = ("#00a0b0", "#d1495b")
#: Where groups without a name of ours lie: below these, which are no one's.
_LAST = ("rounding", "unnamed", "not in the history")


class Palette:
    """Which class (``k0``, ``k1``...) each group of one run has; equal all over the page."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._classes = {name: f"k{index}" for index, name in enumerate(STACK)}
        strangers = [name for name in dict.fromkeys(names) if name not in STACK]
        for index, name in enumerate(strangers):
            self._classes[name] = f"k{len(STACK) + index % len(SPARE)}"
        known = [name for name in STACK if name not in _LAST]
        self._order = {name: place for place, name in enumerate([*known, *strangers, *_LAST])}

    def css(self, name: str) -> str:
        """The class of a group."""
        return self._classes.get(name, f"k{len(STACK)}")

    def stacked(self, names: Iterable[str]) -> list[str]:
        """The groups from the bottom of the stack to its top."""
        return sorted(names, key=lambda name: (self._order.get(name, len(self._order)), name))


def of(processes: Iterable[ProcessMemory]) -> Palette:
    """The palette for every group that a run names anywhere."""
    names: list[str] = []
    for process in processes:
        names += [] if process.timeline is None else process.timeline.groups
        names += _names(process.groups, process.largest)
        names += [] if process.oom is None else _names(process.oom.groups, process.oom.alive)
    return Palette(names)


def _names(groups: Iterable[Group], holdings: Iterable[Holding]) -> list[str]:
    return [each.group for each in groups] + [each.group for each in holdings]


def style() -> str:
    """The rules that give every class its colour, and the ink that can be read on it."""
    return "".join(
        f".k{index}{{--group:{colour};--on-group:{_ink(colour)}}}\n"
        for index, colour in enumerate((*STACK.values(), *SPARE))
    )


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 to 1 (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _ink(colour: str) -> str:
    """Black or white, whichever contrasts more: they are equal at (L + 0.05)^2 = 1.05 * 0.05."""
    return "#000" if (luminance(colour) + 0.05) ** 2 > 1.05 * 0.05 else "#fff"
