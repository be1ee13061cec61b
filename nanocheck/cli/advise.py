"""Search for the fastest configurations of a model that fit a card, and print them as lines to paste.

Every answer was run. How fast it is was only computed, from the operations of a step.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from nanocheck.core.config import StepConfig
    from nanocheck.core.device import Device

#: For each stage of a run. A large model takes minutes to compile on a busy machine, and a run that was given
#: up sends the search the wrong way.
_PATIENCE_S = 1200.0
_SIZES = {
    "n_layer": "layers",
    "n_head": "attention heads",
    "n_embd": "width",
    "block_size": "tokens of a sequence",
    "vocab_size": "rows of the embedding",
}


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_card(parser)
    add_model(parser)
    add("--tokens-per-step", type=int, required=True, metavar="N", help="batch x accumulation x block size")
    add("--margin", metavar="SIZE", help="what must stay free to be called safe (default 512MiB)")
    add("--dtype", action="append", default=[], metavar="NAME", help="search these only (default bf16, fp16)")
    add("--compile", choices=("default", "off"), help="search steps in this mode only (default both)")
    add("--change-script", action="store_true", help="also what the training script itself has no word for")
    add("--methods", default="", metavar="WORDS", help="such as chunked-loss,8bit,checkpoint-block")
    add("--cycle", choices=("full", "train"), default="full", help="what a proof runs; train: no evaluation")
    add("--top", type=int, default=3, metavar="N", help="how many answers (default 3)")
    add_output(parser)


def add_card(parser: argparse.ArgumentParser) -> None:
    """Options that say where."""
    from nanocheck.core.device_selection import CHOICES
    from nanocheck.core.gpus import DEFAULT_GPU, PLATFORMS

    add = parser.add_argument
    add("--gpu", default=DEFAULT_GPU, metavar="ID", help="GPU to check against")
    add("--gpus", action="append", default=[], type=Path, metavar="FILE", help="a file of further cards")
    add("--device", choices=CHOICES, default="auto", help="real: on a GPU that is here; auto: if it is here")
    add(
        "--platform",
        choices=PLATFORMS,
        default="linux",
        help="operating system of the target (usable memory differs)",
    )
    add("--reserve", default="0", metavar="SIZE", help="used by other processes on the card, such as 2GiB")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Options that say which model."""
    from nanocheck.core.step_fields import MODELS

    add = parser.add_argument
    add("--model", default="gpt2", metavar="NAME", help=", ".join(MODELS))
    for name, words in _SIZES.items():
        add(f"--{name.replace('_', '-')}", type=int, metavar="N", help=words)
    add("--depth", type=int, metavar="N", help="layers of a nanochat or autoresearch; width and heads follow")
    add("--bias", action="store_true", help="biases in linear layers and norms (gpt2)")
    add("--window", metavar="LETTERS", help="nanochat-2026's pattern of attention windows")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Options that say where to write, and from where to go on."""
    add = parser.add_argument
    add("--journal", type=Path, metavar="FILE", help="keep runs here; what is in it is not run again")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    add("--html", type=Path, metavar="FILE", help="write the answer as a page")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card, model, dtype or method; or tokens that make no step.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.units import parse_size_of
    from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES
    from nanocheck.report import advice_data, advice_text
    from nanocheck.search import advisor
    from nanocheck.search.advice import Question

    if arguments.top < 1:
        raise RequestError(f"--top: expected at least 1, found {arguments.top}")
    question = Question(
        device=device(arguments),
        base=model(arguments),
        tokens_per_step=arguments.tokens_per_step,
        margin_bytes=parse_size_of("--margin", arguments.margin or f"{DEFAULT_MARGIN_BYTES}"),
        dtypes=tuple(word for each in arguments.dtype for word in each.split(",")),
        methods=tuple(word for word in arguments.methods.split(",") if word),
        modes=(arguments.compile,) if arguments.compile else ("default", "off"),
        change_script=arguments.change_script,
        cycle=arguments.cycle,
        top=arguments.top,
    )
    with measuring(question.device, arguments) as measurement:
        advice = advice_data.advice(advisor.advise(question, measurement))
    print(advice_text.text(advice, width()))
    write(advice, arguments)
    if not advice["complete"]:
        return INTERRUPTED
    return 0 if advice["answers"] else 1


def device(arguments: argparse.Namespace) -> Device:
    """
    Raises:
        RequestError, MachineError: see ``choose_device``.
    """
    from nanocheck.core.device_selection import choose_device
    from nanocheck.core.gpus import find_gpu
    from nanocheck.core.units import parse_size_of

    return choose_device(
        find_gpu(arguments.gpu, arguments.gpus),
        arguments.device,
        platform=arguments.platform,
        reserve_bytes=parse_size_of("--reserve", arguments.reserve),
    ).device


def model(arguments: argparse.Namespace, depth: int | None = None) -> StepConfig:
    """The model, batch and accumulation 1.

    Raises:
        RequestError: sizes that go with no model.
    """
    from nanocheck.core.config import StepConfig
    from nanocheck.core.errors import RequestError

    given: dict[str, Any] = {name: getattr(arguments, name) for name in (*_SIZES, "window")}
    layers = depth if depth is not None else arguments.depth
    if layers is not None and given["n_layer"] not in (None, layers):
        raise RequestError(f"expected --depth or --n-layer, found {layers} and {given['n_layer']}")
    given["n_layer"] = layers if layers is not None else given["n_layer"]
    chosen = {name: value for name, value in given.items() if value is not None}
    return StepConfig.from_dict({"model": arguments.model, "bias": arguments.bias, "batch": 1, **chosen})


def measuring(device: Device, arguments: argparse.Namespace) -> Any:
    """A ``Measurement`` with a line of progress, to be entered."""
    import contextlib
    import sys

    from nanocheck.core.fingerprint import fingerprint
    from nanocheck.measure.configurations import PRELOAD, PRELOAD_COMPILED, Measurement
    from nanocheck.process.jobs import Deadlines
    from nanocheck.process.journal import Journal
    from nanocheck.report.progress import Progress

    @contextlib.contextmanager
    def opened() -> Any:
        progress = Progress()
        with contextlib.ExitStack() as stack:
            stack.callback(progress.clear)
            journal = None
            if arguments.journal is not None:
                journal = stack.enter_context(Journal(arguments.journal, fingerprint()))
                for note in journal.notes:
                    print(f"nanocheck: {note}", file=sys.stderr)
            yield stack.enter_context(
                # Eager steps come first, compiled ones are sure to follow: the server imports for both.
                Measurement(
                    device,
                    journal=journal,
                    progress=progress,
                    preload=(*PRELOAD, *PRELOAD_COMPILED),
                    deadlines=Deadlines(default=_PATIENCE_S),
                )
            )

    return opened()


def write(data: dict[str, Any], arguments: argparse.Namespace) -> None:
    """The files that were asked for."""
    import json

    from nanocheck.core.files import write_atomically

    if arguments.json is not None:
        write_atomically(arguments.json, json.dumps(data, indent=1) + "\n")
    if arguments.html is not None:
        from nanocheck.report.advice_page import render

        write_atomically(arguments.html, render(data))


def width() -> int:
    """Columns of the terminal."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns
