"""Compare the virtual GPU with the real one in this machine: the same cases on both, figure by figure.

Each of a few dozen cases runs on the real card, then on the virtual card of the same kind, with the same
PyTorch; a case that fails is a row like any other. FOLDER gets a page (verify.html) and the figures
(verify.json), which hold no names and no paths and may be contributed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options
from nanocheck.cli.signals import leave_in_order
from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nanocheck.verify.cases import Case
    from nanocheck.verify.predictions import Predictions
    from nanocheck.verify.record import VerifyFile
    from nanocheck.verify.sides import Side
    from nanocheck.verify.verification import Clock

JSON, PAGE = "verify.json", "verify.html"
#: Exit codes, see ``core.errors``.
DIFFERS, AS_FAR_AS_RUN, NO_ANSWER = 1, 5, 6


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    options.add_own_card(parser)
    add = parser.add_argument
    add("--out", type=Path, default=Path("verify"), metavar="FOLDER", help="where to write (default verify)")
    add("--only", default="", metavar="WORDS", help="cases whose name contains one of these, by commas")
    add(
        "--minutes",
        type=float,
        default=8.0,
        metavar="N",
        help="for everything; what is left then is not run (default 8)",
    )
    add(
        "--pre-register",
        action="store_true",
        help="only predict: write what the virtual card does, with a hash, before a real card is asked; "
        "verify in the same FOLDER then compares with that. Needs no card, but --gpu",
    )
    add(
        "--stand-in",
        action="store_true",
        help="the virtual card plays the real one, too: shows what verify does, and verifies nothing",
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card or case, a card of another kind, or a folder that has results already.
        MachineError: there is no card here, or the virtual GPU cannot be built.
        StoredDataError: predictions were changed after they were hashed.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.verify import predictions
    from nanocheck.verify.cases import choose, load_cases
    from nanocheck.verify.verification import Clock

    leave_in_order()
    if not 0 < arguments.minutes < 24 * 60:
        raise RequestError(
            f"--minutes: expected more than 0 and less than a day, found {arguments.minutes:g}"
        )
    clock = Clock(arguments.minutes)
    cases = choose(load_cases(), arguments.only)
    folder: Path = arguments.out
    for name in (JSON, *([predictions.FILE] if arguments.pre_register else [])):
        if (folder / name).exists():
            raise RequestError(
                f"expected a folder without {name}, found {folder / name}",
                hint="name another one: --out FOLDER",
            )
    if arguments.pre_register:
        return _predict(arguments, cases, clock)
    found = predictions.load(folder)
    if found is not None and not arguments.only:
        known = {each.id for each in found.predictions}
        cases = tuple(case for case in cases if case.id in known)
    return _verify(arguments, cases, clock, found)


def _predict(arguments: argparse.Namespace, cases: Sequence[Case], clock: Clock) -> int:
    import datetime

    from nanocheck.core.device import Target
    from nanocheck.core.device_selection import find_real_card
    from nanocheck.core.gpus import find_gpu
    from nanocheck.report import verify_text
    from nanocheck.report.console import show
    from nanocheck.report.progress import Progress
    from nanocheck.verify import predictions, verification
    from nanocheck.verify.predictions import Predictions
    from nanocheck.verify.real_card import choose_card
    from nanocheck.verify.sides import Side

    gpus = tuple(arguments.gpus)
    gpu = find_gpu(arguments.gpu, gpus) if arguments.gpu else choose_card(find_real_card(), None, gpus)
    target = Target(kind="virtual", gpu=gpu)
    progress = Progress()
    with Side(target, gpus) as virtual:
        machine = virtual.describe()
        done = verification.predict(cases, virtual, clock=clock, show=progress)
    progress.clear()
    found = Predictions(
        date=datetime.date.today().isoformat(),
        gpu=gpu.id,
        virtual_card=machine.card,
        context_least_bytes=gpu.context_bytes,
        context_most_bytes=gpu.context_most_bytes,
        environment=machine.environment,
        predictions=done,
    )
    digest = predictions.save(arguments.out, found)
    show(verify_text.predicted(found, digest, str(arguments.out / predictions.FILE)))
    if any(each.not_run == verification.INTERRUPTED for each in done):
        return INTERRUPTED
    return AS_FAR_AS_RUN if any(each.not_run == clock.used_up for each in done) else 0


def _verify(
    arguments: argparse.Namespace, cases: Sequence[Case], clock: Clock, predicted: Predictions | None
) -> int:
    import contextlib
    import datetime
    from dataclasses import replace

    from nanocheck.core.device import Target
    from nanocheck.core.device_selection import find_real_card
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import write_atomically
    from nanocheck.core.gpus import DEFAULT_GPU, find_gpu
    from nanocheck.core.messages import say
    from nanocheck.report import verify_text
    from nanocheck.report.console import show
    from nanocheck.report.html import verify_page
    from nanocheck.report.progress import Progress
    from nanocheck.verify import own_card, record, verification
    from nanocheck.verify.real_card import UnknownCardError, choose_card
    from nanocheck.verify.record import VerifyFile
    from nanocheck.verify.sides import Side

    gpus, folder = tuple(arguments.gpus), arguments.out
    asked = arguments.gpu or (None if predicted is None else predicted.gpu)
    in_catalog = True
    if arguments.stand_in:
        gpu = find_gpu(asked or DEFAULT_GPU, gpus)
    else:
        here = find_real_card()
        try:
            gpu = choose_card(here, asked, gpus)
        except UnknownCardError as error:
            if asked is not None or isinstance(here, str):
                raise
            say(f"{error.problem}: its twin is made from its own description, {folder / own_card.FILE}")
            unknown = Target(kind="real", gpu=replace(find_gpu(DEFAULT_GPU), name=here.name))
            with Side(unknown, gpus) as side:
                gpu, gpus = own_card.own_card(side, folder, gpus)
            in_catalog = False
    if predicted is not None and predicted.gpu != gpu.id:
        raise RequestError(
            f"expected the card of the predictions, {predicted.gpu}, found {gpu.id}",
            hint="leave --gpu away, or predict for that card into another folder",
        )
    progress = Progress()
    with contextlib.ExitStack() as stack:
        stack.callback(progress.clear)
        real = stack.enter_context(Side(Target(kind="real", gpu=gpu), gpus, stand_in=arguments.stand_in))
        seen = real.describe()
        virtual: Side | Predictions
        if predicted is None:
            virtual = stack.enter_context(Side(Target(kind="virtual", gpu=gpu), gpus))
            ours = virtual.describe().card
        else:
            predicted.check_software(seen.environment)
            virtual, ours = predicted, predicted.virtual_card
        begun = VerifyFile(
            stand_in=arguments.stand_in,
            date=datetime.date.today().isoformat(),
            gpu=gpu.id,
            in_catalog=in_catalog,
            card=seen.card,
            virtual_card=ours,
            context_least_bytes=gpu.context_bytes if predicted is None else predicted.context_least_bytes,
            context_most_bytes=gpu.context_most_bytes if predicted is None else predicted.context_most_bytes,
            others_bytes=seen.others_bytes,
            driver=seen.driver,
            environment=seen.environment,
            predictions_sha256=None if predicted is None else predicted.sha256,
        )
        found = verification.verify(
            cases,
            begun,
            real,
            virtual,
            clock=clock,
            keep=lambda file: record.save(folder / JSON, file),
            show=progress,
        )
    write_atomically(folder / PAGE, verify_page.render(found))
    show(verify_text.render(found, [str(folder / PAGE), str(folder / JSON)]))
    return exit_code(found)


def exit_code(found: VerifyFile) -> int:
    """0: all that was asked is equal to the byte; the others are in ``core.errors``."""
    from nanocheck.verify.record import State
    from nanocheck.verify.verification import INTERRUPTED as LEFT

    if any(LEFT in (row.not_run, row.time and row.time.refused) for row in found.rows):
        return INTERRUPTED
    counts = found.counts
    if counts[State.DIFFERS] or found.card_differences:
        return DIFFERS
    if counts[State.NO_ANSWER] or not counts[State.EQUAL]:
        return NO_ANSWER
    return 0 if found.complete else AS_FAR_AS_RUN
