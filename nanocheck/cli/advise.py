"""Search for the fastest configurations of a model that fit a card, and print them as lines to paste.

Every answer was run, on the virtual card with a step recorded, and is ranked by its modelled time. What was
not run was left out by a count of operations.
"""

from __future__ import annotations

import argparse

from nanocheck.cli import options
from nanocheck.core.errors import INTERRUPTED


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_card(parser, machine="alike")
    options.add_model(parser)
    add("--tokens-per-step", type=int, required=True, metavar="N", help="batch x accumulation x block size")
    add("--dtype", action="append", default=[], metavar="NAME", help="search these only (default bf16, fp16)")
    add("--compile", choices=("default", "off"), help="search steps in this mode only (default both)")
    add("--change-script", action="store_true", help="also what the training script itself has no word for")
    add("--methods", default="", metavar="WORDS", help="such as chunked-loss,8bit,checkpoint-block")
    add(
        "--cycle",
        choices=("full", "train"),
        help="what a proof runs; train: no evaluation (default full; of several cards train)",
    )
    add("--top", type=int, default=3, metavar="N", help="how many answers (default 3)")
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card, model, dtype or method; or tokens that make no step.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import write_atomically
    from nanocheck.report import advice_text
    from nanocheck.report.advice_data import AdviceFile
    from nanocheck.report.console import show
    from nanocheck.report.html import advice_page
    from nanocheck.search import advisor
    from nanocheck.search.advice import Question

    if arguments.top < 1:
        raise RequestError(f"--top: expected at least 1, found {arguments.top}")
    card = options.card(arguments)
    target = card.select().target
    if target.cards > 1 and arguments.cycle == "full":
        raise RequestError(
            f"--cycle full: of {target.cards} ranks only optimizer steps are written here",
            hint="leave --cycle away",
        )
    question = Question(
        target=target,
        base=options.model(arguments),
        tokens_per_step=arguments.tokens_per_step,
        margin_bytes=card.margin_bytes,
        dtypes=tuple(word for each in arguments.dtype for word in each.split(",")),
        methods=tuple(word for word in arguments.methods.split(",") if word),
        modes=(arguments.compile,) if arguments.compile else ("default", "off"),
        change_script=arguments.change_script,
        cycle=arguments.cycle or ("full" if target.cards == 1 else "train"),
        top=arguments.top,
    )
    with options.measuring(question.target, arguments) as measurement:
        advice = AdviceFile.of(advisor.advise(question, measurement))
    show(advice_text.render(advice))
    if arguments.json is not None:
        options.write_json(arguments.json, advice)
    if arguments.html is not None:
        write_atomically(arguments.html, advice_page.render(advice))
    if not advice.complete:
        return INTERRUPTED
    return 0 if advice.recommendations else 1
