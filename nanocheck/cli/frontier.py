"""Chart the largest batch of each method on a card, for one model or several depths, by running them.

Columns are methods: words joined by +, such as eager, compile+expandable or eager+checkpoint-block+8bit.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from nanocheck.cli import options
from nanocheck.core.errors import INTERRUPTED


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_card(parser, machine="alike")
    options.add_model(parser)
    add("--depths", default="", metavar="N,N", help="a row for each of these numbers of layers")
    add("--methods", default="eager,eager+expandable", metavar="WORDS", help="a column each, by commas")
    add("--accumulation", type=int, default=8, metavar="N", help="micro-batches of a step (default 8)")
    add("--most", type=int, default=512, metavar="N", help="the largest batch to ask for (default 512)")
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card, model or method, or an invalid number.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import write_atomically
    from nanocheck.report import frontier_text
    from nanocheck.report.advice_data import FrontierFile
    from nanocheck.report.console import show
    from nanocheck.report.html import advice_page
    from nanocheck.search import frontier
    from nanocheck.search.training_variants import shared

    words = [each for each in arguments.depths.split(",") if each]
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise RequestError(
            f"--depths: expected numbers of layers such as 12,16,20, found {arguments.depths!r}"
        )
    if arguments.most < 1:
        raise RequestError(f"--most: expected at least 1, found {arguments.most}")
    card = options.card(arguments)
    depths: list[int | None] = [int(word) for word in words] or [None]
    target = card.select().target
    chart = frontier.Chart(
        target=target,
        models=tuple(
            replace(
                shared(options.model(arguments, depth), target.cards), accumulation=arguments.accumulation
            )
            for depth in depths
        ),
        methods=tuple(each.strip() for each in arguments.methods.split(",") if each.strip()),
        margin_bytes=card.margin_bytes,
        most=arguments.most,
    )
    with options.measuring(chart.target, arguments) as measurement:
        found = FrontierFile.of(frontier.search(chart, measurement))
    show(frontier_text.render(found))
    if arguments.json is not None:
        options.write_json(arguments.json, found)
    if arguments.html is not None:
        write_atomically(arguments.html, advice_page.render(found))
    if not found.complete:
        return INTERRUPTED
    return 0 if any(cell.largest for cell in found.cells) else 1
