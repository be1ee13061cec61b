"""What ``nanocheck run`` was asked for, checked before anything starts."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from nanocheck.core.coverage import PHASES
from nanocheck.core.described_card import DescribedCard
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import EVERY_CARD
from nanocheck.measuring.command_environment import DEFAULT_STEPS
from nanocheck.observe import absent_ranks
from nanocheck.observe.values.policies import POLICIES

DEFAULT_TIME_LIMIT = "10min"
#: Of a distributed run: the first rank and the last, of two both.
DEFAULT_RANKS = absent_ranks.ENDS
#: Between the ids of several cards.
BETWEEN_CARDS = ","

_RANKS = re.compile(r"(\d{1,6}|last)(,(\d{1,6}|last))*")
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|sec|min|m|h)?\s*", re.IGNORECASE)
#: As good as no limit, and more than a clock should be asked for.
_ENDLESS = 1e9
_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def parse_duration(text: str) -> float | None:
    """Seconds meant by ``10min``, ``90s``, ``1.5h`` or a plain count of seconds; ``none`` is no limit.

    Raises:
        RequestError: the text is no duration, zero, or longer than thirty years.
    """
    if text.strip().lower() == "none":
        return None
    match = _DURATION.fullmatch(text)
    seconds = float(match.group(1)) * _SECONDS[(match.group(2) or "").lower()] if match else 0.0
    if not 0 < seconds < _ENDLESS:
        raise RequestError(
            f"--time-limit: expected a duration such as 10min, 90s or 2h, found {text!r:.80}",
            hint="write a number and one of s, min, h; or none",
        )
    return seconds


@dataclass(frozen=True, kw_only=True)
class Request:
    """One command and how long to watch it, on the card that is asked about.

    Attributes:
        steps: optimizer steps that are watched at least; 0: to the end.
        time_limit_s: None: no limit.
        cover: of ``PHASES``, which must have been seen before it is stopped.
        longest: every second batch is made of the longest samples, where their lengths are known.
        time: once memory is known, a few steps are timed and one is recorded.
        clock: so many steps after that go on while the script's own clocks show the card's time.
        sizes: the policy for sizes that hang on values nobody computes; see ``observe.values.unknown_sizes``.
        ranks: of a distributed command, those that run: see ``observe.absent_ranks.VARIABLE``.
    """

    command: list[str]
    card: CardQuestion
    steps: int
    time_limit_s: float | None
    cover: tuple[str, ...] = ()
    longest: bool = False
    sizes: str = POLICIES[0]
    time: bool = False
    clock: int = 0
    ranks: str = DEFAULT_RANKS

    @property
    def gpus(self) -> list[str]:
        """What was named with ``--gpu``: an id, several, ``EVERY_CARD``, or a machine as one word.

        Raises:
            RequestError: see ``machine_of``.
        """
        if self.card.machine:
            return [self.card.gpu]
        return [each.strip() for each in self.card.gpu.split(BETWEEN_CARDS) if each.strip()]

    @property
    def asks_several(self) -> bool:
        """Whether it is about more than one card."""
        return self.card.gpu == EVERY_CARD or len(self.gpus) > 1

    @classmethod
    def of(cls, arguments: argparse.Namespace, card: CardQuestion) -> Request:
        """
        Raises:
            RequestError: no command, or an invalid value.
        """
        command = list(arguments.command)
        if command[:1] == ["--"]:
            del command[0]
        if not command:
            raise RequestError(
                "expected a command after --, found none",
                hint=f"nanocheck run --gpu {arguments.gpu} -- python train.py",
            )
        if arguments.full and arguments.steps is not None:
            raise RequestError("expected --steps or --full, found both", hint="leave one of them away")
        if arguments.batch_arg is not None and not arguments.suggest:
            raise RequestError("--batch-arg: expected --suggest beside it, found none", hint="add --suggest")
        steps = 0 if arguments.full else DEFAULT_STEPS if arguments.steps is None else arguments.steps
        if steps < 0 or (steps == 0 and not arguments.full):
            raise RequestError(f"--steps: expected at least 1, found {steps}", hint="--full runs to the end")
        if arguments.full and arguments.cover is not None:
            raise RequestError("expected --cover or --full, found both", hint="leave one of them away")
        limit = arguments.time_limit or ("none" if arguments.full else DEFAULT_TIME_LIMIT)
        return cls(
            command=command,
            card=card,
            steps=steps,
            time_limit_s=parse_duration(limit),
            cover=_phases(arguments.cover),
            longest=arguments.longest,
            sizes=arguments.sizes or POLICIES[0],
            time=arguments.time or bool(arguments.clock),
            clock=arguments.clock or 0,
            ranks=parse_ranks(getattr(arguments, "ranks", None)),
        )

    def options(self, gpu: str | None = None) -> list[str]:
        """What asks the same again on a command line, of another card if one is named."""
        card = self.card
        limit = "none" if self.time_limit_s is None else f"{self.time_limit_s:g}s"
        asked = gpu or card.gpu
        in_words = [each.text for each in card.gpus if isinstance(each, DescribedCard) and each.id == asked]
        files = [each for each in card.gpus if isinstance(each, Path)]
        return [
            *(("--card", in_words[0]) if in_words else ("--gpu", asked)),
            *(word for path in files for word in ("--gpus", str(path.absolute()))),
            *("--device", card.device),
            *("--platform", card.platform),
            *("--reserve", f"{card.reserve_bytes}B"),
            *("--margin", f"{card.margin_bytes}B"),
            *("--time-limit", limit),
            *("--sizes", self.sizes),
            *(("--ranks", self.ranks) if self.ranks != DEFAULT_RANKS else ()),
            *(("--steps", str(self.steps)) if self.steps else ("--full",)),
            *(("--cover", ",".join(self.cover)) if self.cover else ()),
            *(("--longest",) if self.longest else ()),
            *(("--time",) if self.time else ()),
        ]


def parse_ranks(text: str | None, option: str = "--ranks") -> str:
    """What ``--ranks`` says, see ``Request``.

    Raises:
        RequestError: it names no ranks; ``option`` is named in it.
    """
    if text is None:
        return DEFAULT_RANKS
    if text == absent_ranks.ALL or _RANKS.fullmatch(text):
        return text
    raise RequestError(
        f"{option}: expected numbers such as 0,7, the word last among them, or all, found {text!r:.80}",
        hint=f"{option} 0,{absent_ranks.LAST}",
    )


def _phases(text: str | None) -> tuple[str, ...]:
    found = [] if text is None else [each.strip() for each in text.split(",")]
    for name in found:
        if name not in PHASES:
            raise RequestError(
                f"--cover: expected {' or '.join(PHASES)}, or both, found {text!r}",
                hint=f"--cover {','.join(PHASES)}",
            )
    return tuple(dict.fromkeys(found))
