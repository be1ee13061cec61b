"""Measure the card in this machine for a model of time: products, copies, norms, attention, launches, power.

Takes two minutes on a card that does nothing else. FOLDER gets calibration.json, which holds no names, no
paths and no serial number, and may be contributed. It is written after every measurement, so that whatever
ends it early leaves what was measured. What spreads too much, had not settled, or was slowed down by heat is
written with the reason, and does not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options
from nanocheck.cli.signals import leave_in_order
from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from nanocheck.core.calibration import CalibrationFile
    from nanocheck.core.device import Target

JSON = "calibration.json"
#: Exit codes, see ``core.errors``.
REFUSED, AS_FAR_AS_RUN, NO_ANSWER = 1, 5, 6
_LEAST_S, _MOST_S = 30.0, 240.0


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    options.add_own_card(parser)
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=Path("calibration"),
        metavar="FOLDER",
        help="where to write (default calibration)",
    )
    add("--only", default="", metavar="WORDS", help="measurements whose id contains one of these, by commas")
    add(
        "--seconds",
        type=float,
        default=150.0,
        metavar="N",
        help="for everything, torch's start included, 30 to 240; what is left then is not run (default 150)",
    )
    add(
        "--stand-in",
        action="store_true",
        help="rehearse on the virtual card: shows what calibrate does, and measures nothing",
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card or measurement, a card of another kind, or a folder that has
            a file already.
        MachineError: there is no card here, it is busy, or the virtual GPU cannot be built.
    """
    import datetime

    from nanocheck.calibrate.calibration import calibrate
    from nanocheck.core import calibration
    from nanocheck.core.errors import RequestError
    from nanocheck.report import calibrate_text
    from nanocheck.report.console import show
    from nanocheck.report.progress import Progress

    leave_in_order()
    if not _LEAST_S <= arguments.seconds <= _MOST_S:
        raise RequestError(f"--seconds: expected {_LEAST_S:g} to {_MOST_S:g}, found {arguments.seconds:g}")
    only = _chosen(arguments.only)
    path: Path = arguments.out / JSON
    if path.exists():
        raise RequestError(
            f"expected a folder without {JSON}, found {path}", hint="name another one: --out FOLDER"
        )
    target, gpu = _card(arguments)
    progress = Progress()
    try:
        found = calibrate(
            target,
            seconds=arguments.seconds,
            date=datetime.date.today().isoformat(),
            gpu=gpu,
            keep=lambda file: calibration.save(path, file),
            show=progress,
            only=only,
        )
    finally:
        progress.clear()
    show(calibrate_text.render(found, [str(path)]))
    return exit_code(found)


def _chosen(words: str) -> tuple[str, ...] | None:
    from nanocheck.calibrate.workloads import workloads
    from nanocheck.core.errors import RequestError

    asked = [each.strip() for each in words.split(",") if each.strip()]
    if not asked:
        return None
    ids = [each.id for each in workloads()]
    for word in asked:
        if not any(word in each for each in ids):
            raise RequestError(
                f"--only: expected a part of a measurement's id, found {word!r:.80}",
                hint=f"choose from: {', '.join(ids)}",
            )
    return tuple(each for each in ids if any(word in each for word in asked))


def _card(arguments: argparse.Namespace) -> tuple[Target, str | None]:
    """What to measure, and its id in the catalog; a card that the catalog does not hold has none."""
    from dataclasses import replace

    from nanocheck.core.device import Target
    from nanocheck.core.device_selection import find_real_card
    from nanocheck.core.gpus import DEFAULT_GPU, find_gpu
    from nanocheck.verify.real_card import UnknownCardError, choose_card

    gpus = tuple(arguments.gpus)
    if arguments.stand_in:
        gpu = find_gpu(arguments.gpu or DEFAULT_GPU, gpus)
        return Target(kind="virtual", gpu=gpu), gpu.id
    here = find_real_card()
    try:
        gpu = choose_card(here, arguments.gpu, gpus)
    except UnknownCardError:
        if arguments.gpu is not None or isinstance(here, str):
            raise
        return Target(kind="real", gpu=replace(find_gpu(DEFAULT_GPU), name=here.name)), None
    return Target(kind="real", gpu=gpu), gpu.id


def exit_code(found: CalibrationFile) -> int:
    """0: all was measured, or rehearsed where that was asked for; the others are in ``core.errors``."""
    from nanocheck.calibrate.calibration import INTERRUPTED as LEFT
    from nanocheck.calibrate.calibration import REHEARSED

    if any(each.refused == LEFT for each in found.measurements):
        return INTERRUPTED
    if found.is_rehearsal:
        if not found.complete:
            return AS_FAR_AS_RUN
        return 0 if all(each.refused == REHEARSED for each in found.measurements) else REFUSED
    if found.others or not found.measured():
        return NO_ANSWER
    if not found.complete:
        return AS_FAR_AS_RUN
    return REFUSED if any(each.refused for each in found.measurements) else 0
