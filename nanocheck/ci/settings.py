"""What is asked for, read from the environment: a workflow's values never pass through a shell's text.

Each input of ``action.yml`` is a variable here, ``NANOCHECK_`` and its name: what stands in ``${{ }}`` is put
there by the workflow's ``env:``.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nanocheck.core.allocation_change import Allowance
from nanocheck.core.errors import RequestError
from nanocheck.core.gate import DEFAULT_FAIL_ON, parse_fail_on
from nanocheck.core.gpus import DEFAULT_GPU, find_gpu
from nanocheck.core.machine import machine_of
from nanocheck.core.units import parse_size_of

PREFIX = "NANOCHECK_"
GATE_FILE = "gate.json"
#: Instead of a commit: do not run the base.
NO_BASE = "none"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One check.

    Attributes:
        command: the training command, as words; empty: ``tests`` is asked for.
        tests: pytest's arguments.
        gpus: ids of the catalog, or machines with cards of one kind (``8xh100``).
        device: virtual, real or auto, see ``nanocheck run --device``.
        prepare: a command for bash that is run in each checkout before it is looked at.
        base: a commit, or ``none``, or empty: what the change is to be merged into.
        options: further options of ``nanocheck run``, or of pytest.
        allowance: how much more is not called growth; ``None``: none on virtual cards.
        folder: where the command runs, inside the checkout. root: the checkout. results: where files go.
        name: what tells two checks of one job apart; empty: what is run does.
    """

    command: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    gpus: tuple[str, ...] = (DEFAULT_GPU,)
    device: str = "virtual"
    platform: str = "linux"
    margin: str = "512MiB"
    reserve: str = "0"
    options: tuple[str, ...] = ()
    prepare: str = ""
    base: str = ""
    fail_on: tuple[str, ...] = ()
    allowance: Allowance | None = None
    folder: Path = Path()
    root: Path = Path()
    results: Path = Path()
    name: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """
        Raises:
            RequestError: neither a command nor tests, or both; an unknown card; an unreadable value.
        """

        def text(name: str, default: str = "") -> str:
            return environment.get(PREFIX + name, "").strip() or default

        def words(name: str) -> tuple[str, ...]:
            try:
                return tuple(shlex.split(text(name)))
            except ValueError as error:
                raise RequestError(
                    f"{name.lower()}: expected words as for a shell, found {text(name)!r:.80}: {error}",
                    hint="close each quotation mark",
                ) from error

        command, tests = words("COMMAND"), words("TESTS")
        if bool(command) == bool(tests):
            raise RequestError(
                f"expected either a command or tests, found {'both' if command else 'neither'}",
                hint="command: python train.py --batch_size=8",
            )
        gpus = tuple(dict.fromkeys(each.strip() for each in text("GPUS", DEFAULT_GPU).split(",")))
        for each in gpus:
            if not each or each.startswith("-"):
                raise RequestError(
                    f"gpus: expected ids of cards with commas, or 8xh100, found {text('GPUS')!r:.80}",
                    hint="nanocheck gpus lists them",
                )
            machine = machine_of(each)
            if not words("OPTIONS"):  # which may bring cards of the project's own
                find_gpu(machine[0].gpu if machine else each)
        for name in ("MARGIN", "RESERVE"):
            parse_size_of(name.lower(), text(name, "0"))
        growth = text("ALLOW_GROWTH")
        root = Path(text("ROOT", environment.get("GITHUB_WORKSPACE", "") or str(Path.cwd()))).resolve()
        temporary = environment.get("RUNNER_TEMP", "") or tempfile.gettempdir()
        return cls(
            command=command,
            tests=tests,
            gpus=gpus,
            device=text("DEVICE", "virtual"),
            platform=text("PLATFORM", "linux"),
            margin=text("MARGIN", "512MiB"),
            reserve=text("RESERVE", "0"),
            options=words("OPTIONS"),
            prepare=text("PREPARE"),
            base=text("BASE"),
            fail_on=parse_fail_on(text("FAIL_ON", DEFAULT_FAIL_ON)),
            allowance=Allowance(bytes=parse_size_of("allow-growth", growth)) if growth else None,
            folder=_inside(root, text("FOLDER", ".")),
            root=root,
            results=Path(text("RESULTS", str(Path(temporary) / "nanocheck"))).absolute(),
            name=text("NAME"),
        )


def results_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the check left its files."""
    temporary = environment.get("RUNNER_TEMP", "") or tempfile.gettempdir()
    return Path(environment.get(PREFIX + "RESULTS", "").strip() or str(Path(temporary) / "nanocheck"))


def _inside(root: Path, text: str) -> Path:
    """The folder, relative to the root.

    Raises:
        RequestError: it is outside of it, or not there.
    """
    folder = (root / text).resolve()
    if not folder.is_relative_to(root) or not folder.is_dir():
        raise RequestError(
            f"folder: expected a folder of the checkout, found {text!r:.80}", hint="such as: packages/model"
        )
    return folder.relative_to(root)
