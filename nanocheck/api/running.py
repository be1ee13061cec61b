"""Commands and functions on a card that is not here."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nanocheck.api.answer import Answer
from nanocheck.api.handed_over import hand_over
from nanocheck.core.coverage import PHASES
from nanocheck.core.described_card import described
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import DEFAULT_GPU
from nanocheck.core.units import parse_size_of
from nanocheck.measuring.command_environment import DEFAULT_STEPS
from nanocheck.measuring.foreground_run import run_command
from nanocheck.measuring.request import DEFAULT_TIME_LIMIT, Request, parse_duration
from nanocheck.observe.values.policies import POLICIES
from nanocheck.timing.of_run import step_time


def run(
    command: Sequence[str],
    *,
    gpu: str = DEFAULT_GPU,
    gpus: Sequence[str | Path] = (),
    card: str | None = None,
    device: str = "auto",
    platform: str = "linux",
    reserve: str = "0",
    margin: str = "512MiB",
    steps: int = DEFAULT_STEPS,
    full: bool = False,
    cover: Sequence[str] = (),
    longest: bool = False,
    sizes: str = POLICIES[0],
    time: bool = False,
    time_limit: str = DEFAULT_TIME_LIMIT,
) -> Answer:
    """Run a command on a card, virtual where it is not here, and say whether it fits.

    What it prints goes where this process's output goes. Like ``nanocheck run`` it stops the command when the
    answer is known, unless ``full``.

    Args:
        command: as in ``subprocess.run``, such as ``["python", "train.py", "--batch_size=8"]``.
        gpu, gpus, card, device, platform, reserve, margin, steps, full, cover, longest, sizes, time,
            time_limit: as the options of ``nanocheck run``; sizes and durations as text, such as ``"2GiB"``
            and ``"10min"``. With ``time`` the answer has a ``step_time``, modelled.

    Raises:
        RequestError: an unknown card or program, or an invalid value.
        MachineError: the virtual GPU cannot be built here.
    """
    unknown = sorted(set(cover) - set(PHASES))
    if unknown or sizes not in POLICIES or isinstance(command, str) or not command:
        raise RequestError(
            f"expected a list of words as the command, cover of {', '.join(PHASES)} and sizes of "
            f"{', '.join(POLICIES)}, found {command!r:.80}, {', '.join(cover) or 'none'} and {sizes}"
        )
    in_words = described([] if card is None else [card])
    request = Request(
        command=[str(word) for word in command],
        card=CardQuestion(
            gpu=in_words[0].id if in_words else gpu,
            gpus=(*(Path(each) for each in gpus), *in_words),
            device=device,
            platform=platform,
            reserve_bytes=parse_size_of("reserve", reserve),
            margin_bytes=parse_size_of("margin", margin),
        ),
        steps=0 if full else steps,
        time_limit_s=parse_duration(time_limit),
        cover=tuple(cover),
        longest=longest,
        sizes=sizes,
        time=time,
    )
    chosen = request.card.select()
    result = run_command(request, chosen)
    found = step_time(result, chosen.target.gpu) if request.time else None
    return Answer.of(result, request.card.margin_bytes, found)


def measure(
    function: Callable[..., object],
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Answer:
    """Call a function on a card, virtual where it is not here, in a process of its own, to its end.

    Args:
        function: of a module, or of the script or notebook that runs (where ``cloudpickle`` is installed: any
            function). It imports and makes what it needs of the GPU itself; what it returns is lost.
        args, kwargs: what it is called with; they are pickled.
        options: as of ``run``.

    Raises:
        RequestError: see ``run``; or a function that cannot be handed to another process.
        MachineError: see ``run``.
    """
    with tempfile.TemporaryDirectory(prefix="nanocheck-call-") as folder:
        command = hand_over(function, tuple(args), dict(kwargs or {}), Path(folder))
        return run([sys.executable, *command], **{"full": True, **options})
