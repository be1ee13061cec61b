"""Plan a whole training run on cards that are not here: days, kWh and money, from one step of it.

A script's own step (``-- python train.py``), or a reference model's: with --batch the one that is named, with
--tokens-per-step alone the fastest that fits each card. Time is modelled, from the kernels of the step.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options
from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from nanocheck.core.gpus import Gpu
    from nanocheck.core.plan import Goal, Plan, Prices


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.usage = "nanocheck plan --tokens N [options] [--model NAME [options] | -- python train.py ...]"
    from nanocheck.core.options import DEVICE

    options.add_card(
        parser,
        several=True,
        instead="no time of what ranks say to each other is modelled; whether they fit says `nanocheck run`, "
        "and of settings `nanocheck advise`",
        without=(DEVICE,),
    )
    add = parser.add_argument
    add("--tokens", metavar="N", help="train on so many, such as 38e9 or 38B")
    add("--total-steps", type=int, metavar="N", help="instead: so many optimizer steps")
    add("--tokens-per-step", type=int, metavar="N", help="batch x accumulation x block size x cards")
    add("--watts", metavar="W,W", help="a row for each power limit of the board, such as 35,80,115")
    add("--price", type=float, metavar="P", help="of a kWh, in your currency")
    add("--rent", type=float, metavar="P", help="of the card for an hour")
    add("--system", type=float, default=1.0, metavar="F", help="what the whole machine draws, in cards")
    options.add_model(parser)
    add("--batch", type=int, metavar="N", help="sequences of a micro-batch (--model)")
    add("--accumulation", type=int, metavar="N", help="micro-batches of a step (--model; default 1)")
    add("--methods", default="", metavar="WORDS", help="joined by +, such as compile+8bit (with --batch)")
    add("--change-script", action="store_true", help="search also what a script itself has no word for")
    add("--time-limit", metavar="TIME", help="end a command after this long (default 10min)")
    add("--json", type=Path, metavar="FILE", help="write the plan as JSON")
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what you would type in the shell")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: no goal, an unknown card, model or method, or an invalid number.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.plan import Goal, Prices
    from nanocheck.report import plan_text
    from nanocheck.report.console import show

    goal = Goal(tokens=_count(arguments.tokens), steps=arguments.total_steps)
    prices = Prices(kwh=arguments.price, card_hour=arguments.rent, system_factor=arguments.system)
    cards, limits = _cards(arguments), _watts(arguments.watts)
    of = _of_command if arguments.command else _of_model
    found = of(arguments, cards, limits, goal, prices)
    show(plan_text.render(found))
    if arguments.json is not None:
        options.write_json(arguments.json, found)
    if not found.complete:
        return INTERRUPTED
    return 0 if any(row.horizon is not None for row in found.rows) else 1


def _of_command(
    arguments: argparse.Namespace, cards: list[Gpu], limits: list[float], goal: Goal, prices: Prices
) -> Plan:
    from nanocheck.core.errors import RequestError
    from nanocheck.measuring.command_environment import DEFAULT_STEPS
    from nanocheck.measuring.foreground_run import check_command
    from nanocheck.measuring.request import DEFAULT_TIME_LIMIT, Request, parse_duration
    from nanocheck.planning.commands import plan_command
    from nanocheck.report.progress import Progress

    for option in ("batch", "accumulation", "methods", "change_script"):
        if getattr(arguments, option):
            name = f"--{option.replace('_', '-')}"
            raise RequestError(
                f"{name}: expected a --model to go with, found a command", hint="give it to your script"
            )
    command = arguments.command[1:] if arguments.command[0] == "--" else arguments.command
    card = replace(options.card(arguments), gpu=cards[0].id, device="virtual")
    request = Request(
        command=list(command),
        card=card,
        steps=DEFAULT_STEPS,
        time_limit_s=parse_duration(arguments.time_limit or DEFAULT_TIME_LIMIT),
    )
    check_command(request)
    progress = Progress()
    try:
        return plan_command(
            request,
            cards,
            goal=goal,
            prices=prices,
            tokens_per_step=arguments.tokens_per_step,
            limits_w=limits,
            show=lambda done, total, names: progress(done, total, [(each, "running") for each in names]),
        )
    finally:
        progress.clear()


def _of_model(
    arguments: argparse.Namespace, cards: list[Gpu], limits: list[float], goal: Goal, prices: Prices
) -> Plan:
    from nanocheck.core.config import StepConfig
    from nanocheck.core.device import Target
    from nanocheck.core.verdict import JudgedRun
    from nanocheck.measuring.configurations import PATIENT, Measurement
    from nanocheck.planning.chosen import fastest
    from nanocheck.planning.models import plan_model
    from nanocheck.report.progress import Progress
    from nanocheck.search.advice import Question
    from nanocheck.search.training_variants import method

    _refuse_half_a_model(arguments)
    card, base, progress = options.card(arguments), options.model(arguments), Progress()
    named = None
    if arguments.batch is not None:
        changes = method(arguments.methods) if arguments.methods else {}
        named = replace(base, batch=arguments.batch, accumulation=arguments.accumulation or 1, **changes)

    def choose(target: Target) -> StepConfig | JudgedRun:
        if named is not None:
            return named
        question = Question(
            target=target,
            base=base,
            tokens_per_step=arguments.tokens_per_step,
            margin_bytes=card.margin_bytes,
            change_script=arguments.change_script,
        )
        with Measurement(target, progress=progress, deadlines=PATIENT) as measurement:
            return fastest(question, measurement)

    try:
        return plan_model(
            choose,
            cards,
            platform=card.platform,
            reserve_bytes=card.reserve_bytes,
            margin_bytes=card.margin_bytes,
            goal=goal,
            prices=prices,
            limits_w=limits,
            show=progress,
        )
    finally:
        progress.clear()


def _refuse_half_a_model(arguments: argparse.Namespace) -> None:
    from nanocheck.core.errors import RequestError

    batch, tokens = arguments.batch is not None, arguments.tokens_per_step is not None
    if batch == tokens:
        raise RequestError(
            f"expected --batch or --tokens-per-step for a model, found {'both' if batch else 'neither'}, "
            "and no command after --",
            hint="nanocheck plan --tokens 38e9 --model gpt2 --batch 8 --accumulation 64 --methods compile",
        )
    if not batch and (arguments.methods or arguments.accumulation):
        raise RequestError("--methods, --accumulation: expected --batch beside them, found none")


def _cards(arguments: argparse.Namespace) -> list[Gpu]:
    """As they were named; of all, the largest first."""
    found = options.cards(arguments)
    if options.card(arguments).gpu != "all":
        return found
    return sorted(found, key=lambda gpu: (-gpu.usable_bytes[arguments.platform], gpu.id))


def _count(text: str | None) -> float | None:
    from nanocheck.core.units import parse_count

    return None if text is None else parse_count("--tokens", text)


def _watts(text: str | None) -> list[float]:
    from nanocheck.core.units import parse_count

    return [] if text is None else [parse_count("--watts", each) for each in text.split(",")]
