"""The options that every command and the pytest plugin share: which card, and what must stay free on it.

``cli`` hands them to argparse, ``pytest_plugin`` to pytest; together they say a ``CardQuestion``. Only the
standard library is needed: ``nanocheck doctor`` runs where nothing else is installed.
"""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.gpus import DEFAULT_GPU, PLATFORMS


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option; ``in_pytest`` is its name among the options of pytest, where others have theirs."""

    flag: str
    default: str
    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    in_pytest: str = ""

    @property
    def pytest_flag(self) -> str:
        return self.in_pytest or self.flag

    @property
    def text(self) -> str:
        """What it means, and its default."""
        return f"{self.help} (default: {self.default or 'none'})"


GPU = Option(
    flag="--gpu", default=DEFAULT_GPU, metavar="ID", help="GPU to check against, an id of the catalog"
)
GPUS = Option(
    flag="--gpus",
    in_pytest="--nanocheck-gpus",
    default="",
    metavar="FILE",
    help="a TOML file with further cards",
)
CARD = Option(
    flag="--card",
    in_pytest="--nanocheck-card",
    default="",
    metavar="WORDS",
    help='a card that is in no catalog, such as "name=My card, memory=24GiB, like=rtx4090"',
)
DEVICE = Option(
    flag="--device",
    default="auto",
    metavar="KIND",
    choices=("auto", "real", "virtual"),
    help="real: measure on a GPU; virtual: on the virtual GPU; auto: measure if the card is here",
)
PLATFORM = Option(
    flag="--platform",
    default="linux",
    metavar="NAME",
    choices=PLATFORMS,
    help="operating system of the target, linux or windows (usable memory differs)",
)
RESERVE = Option(
    flag="--reserve",
    default="0",
    metavar="SIZE",
    help="memory used by other processes on the card, such as 2GiB for a desktop",
)
MARGIN = Option(
    flag="--margin",
    in_pytest="--nanocheck-margin",
    default="512MiB",
    metavar="SIZE",
    help="what must stay free for a verdict of safe",
)
RAY = Option(
    flag="--ray",
    in_pytest="--nanocheck-ray",
    default="",
    metavar="ADDRESS",
    help="run configurations on a Ray cluster: its head's host:port, auto, or local for one on this machine; "
    "needs pytest-nanocheck[ray]",
)
CARD_OPTIONS = (GPU, GPUS, CARD, DEVICE, PLATFORM, RESERVE, MARGIN)
