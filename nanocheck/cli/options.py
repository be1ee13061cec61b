"""Options that several verbs share, and what they are for: the card, the model, the files, the terminal."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import msgspec

    from nanocheck.core.config import StepConfig
    from nanocheck.core.device import Target
    from nanocheck.core.device_selection import CardQuestion
    from nanocheck.core.gpus import CardSource, Gpu
    from nanocheck.core.options import Option
    from nanocheck.fleet.choose import AnyMeasurement

_SIZES = {
    "n_layer": "layers",
    "n_head": "attention heads",
    "n_embd": "width",
    "block_size": "tokens of a sequence",
    "vocab_size": "rows of the embedding",
}


class _Together(argparse.Action):
    """Given twice, an option has both values, with a comma between them; ``_given`` has what was given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = getattr(namespace, "_given", {})
        given.setdefault(self.dest, []).append(values)
        namespace._given = given
        setattr(namespace, self.dest, ",".join(given[self.dest]))


class _Last(argparse.Action):
    """Given twice, an option has the last value; ``_given`` has it, too."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace._given = {**getattr(namespace, "_given", {}), self.dest: [values]}
        setattr(namespace, self.dest, values)


def add_card(
    parser: argparse.ArgumentParser,
    *,
    several: bool = False,
    machine: Literal["none", "alike", "any"] = "none",
    instead: str = "see `nanocheck run`",
    without: Sequence[Option] = (),
) -> None:
    """Which card, and what must stay free on it.

    Args:
        several: ``--gpu`` can be given more than once.
        machine: whether it can be one of several cards, ``8xh100``; ``alike``: of one kind.
        instead: what to do with a machine that it does not take.
        without: options that mean nothing to the verb.
    """
    from nanocheck.core.options import CARD, CARD_OPTIONS, GPU, GPUS

    parser.set_defaults(several_cards=several, machine=machine, instead=instead)
    for option in CARD_OPTIONS:
        if option in without:
            continue
        if option is GPU and several:
            parser.add_argument(
                option.flag,
                action=_Together,
                default=option.default,
                metavar=option.metavar,
                help=f"{option.text}; several times or with commas: each of them; all: every card",
            )
            continue
        if option is GPUS:
            parser.add_argument(
                option.flag, action="append", default=[], type=Path, metavar=option.metavar, help=option.text
            )
            continue
        if option is CARD:
            parser.add_argument(
                option.flag, action="append", default=[], metavar=option.metavar, help=option.text
            )
            continue
        if option is GPU:
            parser.add_argument(
                option.flag, action=_Last, default=option.default, metavar=option.metavar, help=option.text
            )
            continue
        parser.add_argument(
            option.flag,
            default=option.default,
            metavar=option.metavar if not option.choices else None,
            choices=option.choices or None,
            help=option.text,
        )


def add_further_cards(parser: argparse.ArgumentParser) -> None:
    """Where cards beside the catalog's come from, for verbs that read which card it is from a file."""
    from nanocheck.core.options import CARD, GPUS

    for option, kind in ((GPUS, Path), (CARD, str)):
        parser.add_argument(
            option.flag, action="append", default=[], type=kind, metavar=option.metavar, help=option.text
        )


def further_cards(arguments: argparse.Namespace) -> tuple[CardSource, ...]:
    """What ``add_further_cards`` was given.

    Raises:
        RequestError: a card's words say no card.
    """
    from nanocheck.core.described_card import described

    return (*arguments.gpus, *described(arguments.card))


def add_own_card(parser: argparse.ArgumentParser) -> None:
    """The card in this machine, for verbs that measure it."""
    parser.add_argument(
        "--gpu",
        metavar="ID",
        help="the card that must be here, an id of the catalog (default: the one that is)",
    )
    parser.add_argument(
        "--gpus",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a TOML file with further cards",
    )


def card(arguments: argparse.Namespace) -> CardQuestion:
    """
    Raises:
        RequestError: an invalid value.
    """
    from nanocheck.core.described_card import described
    from nanocheck.core.device_selection import CardQuestion, one_card_expected
    from nanocheck.core.errors import RequestError
    from nanocheck.core.options import CARD, CARD_OPTIONS, GPU, GPUS

    names = {each: each.flag[2:] for each in CARD_OPTIONS if each not in (GPUS, CARD)}
    values = {each: getattr(arguments, name) for each, name in names.items() if hasattr(arguments, name)}
    in_words = described(arguments.card)
    if in_words:
        ids = [*getattr(arguments, "_given", {}).get("gpu", []), *(each.id for each in in_words)]
        if len(ids) > 1 and not arguments.several_cards:
            raise RequestError(
                f"expected one card, found {', '.join(ids)}", hint=f"leave {GPU.flag} or {CARD.flag} away"
            )
        values[GPU] = "all" if "all" in ids else ",".join(ids)
    found = CardQuestion.of(values, (*arguments.gpus, *in_words))
    taken = {"none": 0, "alike": 1, "any": len(found.machine)}[arguments.machine]
    if len(found.machine) > taken:  # so many kinds of cards
        raise one_card_expected(found, arguments.instead)
    return found


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Where configurations run; ``select`` and ``measuring`` follow it."""
    from nanocheck.core.options import RAY

    parser.add_argument(RAY.flag, default=RAY.default, metavar=RAY.metavar, help=RAY.text)


def cards(arguments: argparse.Namespace) -> list[Gpu]:
    """Those of ``--gpu`` that exist on the asked platform, each once; ``all``: every one of the catalog.

    Raises:
        RequestError: an unknown card, or none of them exists there.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.gpus import find_gpus

    question = card(arguments)
    platform = question.platform
    named = question.machine[0].gpu if question.machine else question.gpu
    asked = find_gpus([each.strip() for each in named.split(",")], question.gpus)
    found = [each for each in asked if platform in each.usable_bytes]
    if not found:
        raise RequestError(
            f"--gpu {question.gpu}: expected a card that the catalog knows on {platform}, found none",
            hint="nanocheck gpus   # lists them",
        )
    return found


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model."""
    from nanocheck.core.step_fields import MODELS

    add = parser.add_argument
    add("--model", default="gpt2", metavar="NAME", help=", ".join(MODELS))
    for name, words in _SIZES.items():
        add(f"--{name.replace('_', '-')}", type=int, metavar="N", help=words)
    add("--depth", type=int, metavar="N", help="layers of a nanochat or autoresearch; width and heads follow")
    add("--bias", action="store_true", help="biases in linear layers and norms (gpt2)")
    add("--window", metavar="LETTERS", help="nanochat-2026's pattern of attention windows")


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


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where to write, and from where to go on."""
    add = parser.add_argument
    add("--journal", type=Path, metavar="FILE", help="keep runs here; what is in it is not run again")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    add("--html", type=Path, metavar="FILE", help="write the answer as a page")


@contextlib.contextmanager
def measuring(target: Target, arguments: argparse.Namespace, workers: int = 2) -> Iterator[AnyMeasurement]:
    """Who measures configurations for a verb; with a line of progress, and the journal that was named."""
    from nanocheck.core.fingerprint import fingerprint
    from nanocheck.core.messages import say
    from nanocheck.fleet.choose import cluster_at, measurement
    from nanocheck.measuring.configurations import PATIENT, PRELOAD, PRELOAD_COMPILED
    from nanocheck.process.journal import Journal
    from nanocheck.report.progress import Progress

    progress = Progress()
    with contextlib.ExitStack() as stack:
        stack.callback(progress.clear)
        journal = None
        if arguments.journal is not None:
            journal = stack.enter_context(Journal(arguments.journal, fingerprint()))
            for note in journal.notes:
                say(note)
        cluster = stack.enter_context(cluster_at(getattr(arguments, "ray", ""), workers))
        opened = measurement(
            target,
            cluster=cluster,
            workers=workers,
            journal=journal,
            progress=progress,
            # Eager steps come first, compiled ones are sure to follow: the server imports for both.
            preload=(*PRELOAD, *PRELOAD_COMPILED),
            deadlines=PATIENT,
        )
        stack.callback(opened.close)
        yield opened


def write_json(path: Path, value: msgspec.Struct) -> None:
    """A typed value as a JSON file.

    Raises:
        MachineError: it cannot be written.
    """
    import json

    import msgspec

    from nanocheck.core.files import write_atomically

    write_atomically(path, json.dumps(msgspec.to_builtins(value), indent=1) + "\n")
