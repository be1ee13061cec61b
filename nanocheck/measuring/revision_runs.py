"""The same command at two states of a repository, on the same cards or the same machine; where one does not
fit, on that card with more memory, too, so that its peak is known.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.diff_side import Subject, without_folders
from nanocheck.core.gpus import PLATFORMS, Gpu, find_gpu
from nanocheck.core.result import Outcome, ProcessMemory
from nanocheck.core.stacks import StackHolding
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.background_run import BackgroundRuns, Variation
from nanocheck.measuring.request import Request
from nanocheck.measuring.revision import Checkout, Repository
from nanocheck.process.scratch import Scratch

AT_ONCE = 2
#: How many times the card's memory a card "with room" has.
_ROOM = 16


@dataclass(frozen=True)
class State:
    """One state of the repository: a commit, or what stands here.

    Attributes:
        name: as it was asked for. commit: its full name; ``None``: what stands here.
    """

    name: str
    commit: str | None


def states(repository: Repository, revisions: Sequence[str]) -> tuple[State, State]:
    """Before and after: two revisions, or one and what stands here.

    Raises:
        RequestError: there is no such commit.
    """
    found = [State(each, repository.commit(each)) for each in revisions]
    found.append(State("the files here", None))
    return found[0], found[1]


def run_states(
    request: Request,
    repository: Repository,
    both: tuple[State, State],
    show: Callable[[int, list[str]], None],
    gpus: Sequence[str] = (),
) -> list[tuple[Subject, Subject]]:
    """Run the command in both, on one card after the other.

    Args:
        gpus: ids of cards; by default the request's own card or machine.

    Raises:
        RequestError, MachineError: it cannot be run at all.
    """
    gpus = gpus or (request.card.gpu,)
    with ExitStack() as stack:
        folders, roots = [], []
        for state in both:
            if state.commit is None:
                folders.append(Path.cwd())
                roots.append(repository.root)
            else:
                checkout = Checkout(repository, state.commit)
                folders.append(stack.enter_context(checkout))
                roots.append(checkout.root)
        asked = [
            Variation(
                name=state.name if len(gpus) == 1 else f"{state.name}, {gpu}",
                folder=folder,
                command=_command(request, folder),
                gpu=gpu,
            )
            for gpu in gpus
            for state, folder in zip(both, folders, strict=True)
        ]
        found = _run(request, asked, show)
        roomy: list[JudgedRun | None] = [None] * len(found)
        if any(run.result.outcome is Outcome.OOM for run in found):
            roomy = _with_room(request, asked, found, show)
        sides = []
        for run, more, root in zip(found, roomy, roots * len(gpus), strict=True):
            subject = Subject.of(
                from_the_root(run, root, repository.prefix),
                None if more is None else from_the_root(more, root, repository.prefix),
            )
            elsewhere = () if root == repository.root else code_from_here(run, repository)
            # The program may have been found elsewhere, see ``_command``.
            name = without_folders(shlex.join(request.command))
            sides.append(named(subject, name, elsewhere))
    return list(zip(sides[::2], sides[1::2], strict=True))


def named(subject: Subject, name: str, said: Sequence[str]) -> Subject:
    """Under another name, its ranks too, and with more that is said of the run."""
    ranks = {rank: replace(each, id=name) for rank, each in subject.ranks.items()}
    return replace(subject, id=name, said=(*subject.said, *said), ranks=ranks)


def _command(request: Request, folder: Path) -> tuple[str, ...]:
    """With a program that stands only here, such as .venv/bin/python, which git does not know."""
    program, *others = request.command
    here = Path.cwd() / program
    if "/" in program and not (folder / program).exists() and here.exists():
        program = str(here)
    return program, *others


def code_from_here(run: JudgedRun, repository: Repository) -> tuple[str, ...]:
    """That a revision ran code of the user's checkout, as a package that is installed as editable does."""
    stacks = [each for process in run.result.processes for each in process.stacks]
    for one in stacks:
        for frame in one.frames:
            path = Path(frame.where.rpartition(":")[0])
            if path.is_absolute() and path.is_relative_to(repository.root):
                name = path.relative_to(repository.root)
                return (
                    f"it ran {name} of the checkout here, not of the revision (is the project installed as "
                    "editable?): what changed there is not seen",
                )
    return ()


def _run(
    request: Request, asked: Sequence[Variation], show: Callable[[int, list[str]], None]
) -> list[JudgedRun]:
    """All of them, a few at a time; of ranks, which may meet at a port that the script names, one."""
    with BackgroundRuns(request, 1 if request.card.machine else AT_ONCE, show) as runs:
        pending = [runs.submit(each) for each in asked]
        while any(each.found is None for each in pending):
            runs.wait()
    return [each.found for each in pending if each.found is not None]


def _with_room(
    request: Request,
    asked: Sequence[Variation],
    found: Sequence[JudgedRun],
    show: Callable[[int, list[str]], None],
) -> list[JudgedRun | None]:
    """Those that do not fit, on their card with more memory; ``None`` for what fits, or has no room there."""
    if any(run.result.device.kind != "virtual" for run in found):
        return [None for _ in found]
    short = [run.result.outcome is Outcome.OOM for run in found]
    with Scratch("room") as folder:
        card = folder / "room.toml"
        ids = [each.device.gpu for run in found for each in run.result.machine]
        ids += [run.result.device.gpu for run in found]
        cards = [find_gpu(each, request.card.gpus) for each in dict.fromkeys(ids)]
        card.write_text("\n".join(map(card_with_room, cards)), encoding="utf-8")
        wanted = [replace(each, gpus=card) for each, is_short in zip(asked, short, strict=True) if is_short]
        # A card in words is in that file, too.
        files = tuple(each for each in request.card.gpus if isinstance(each, Path))
        more = iter(_run(replace(request, card=replace(request.card, gpus=files)), wanted, show))
    answers = [next(more) if is_short else None for is_short in short]
    return [
        None if each is None or each.result.outcome is not Outcome.COMPLETED else each for each in answers
    ]


def card_with_room(gpu: Gpu) -> str:
    """A card in a catalog file, with more memory: nothing else that a program sees is another."""
    figures: dict[str, Any] = {
        "name": gpu.name,
        "capability": gpu.capability_text,
        "sms": gpu.sms,
        "l2_mib": gpu.l2_bytes / MIB,
        "bus_width_bits": gpu.bus_width_bits,
        "bandwidth_gb_s": gpu.bandwidth_gb_s,
        "boost_mhz": gpu.boost_mhz,
        "memory_mhz": gpu.memory_mhz,
        "tgp_w": gpu.tgp_w,
        "bf16_tflops": "none" if gpu.bf16_tflops is None else gpu.bf16_tflops,
        "host": gpu.host,
        "nominal_mib": _ROOM * gpu.nominal_bytes / MIB,
    }
    for platform in PLATFORMS:
        if platform in gpu.usable_bytes:
            figures[f"{platform}_usable_mib"] = _ROOM * gpu.usable_bytes[platform] / MIB
    name = json.dumps(gpu.id)
    lines = [f"[gpu.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in figures.items())]
    lines += [f"[gpu.{name}.sources]", *(f'{key} = "room to see a peak"' for key in figures)]
    return "\n".join(lines) + "\n"


def from_the_root(run: JudgedRun, root: Path, prefix: Path) -> JudgedRun:
    """With files of the repository named from its top, wherever in it the command ran."""

    def named(where: str) -> str:
        path, colon, line = where.rpartition(":")
        if Path(path).is_relative_to(root):
            return f"{Path(path).relative_to(root)}{colon}{line}"
        # A path of an installed package is relative, too.
        return f"{prefix / path}{colon}{line}" if (root / prefix / path).is_file() else where

    def holding(one: StackHolding) -> StackHolding:
        frames = tuple(msgspec.structs.replace(each, where=named(each.where)) for each in one.frames)
        return msgspec.structs.replace(one, frames=frames)

    def process(one: ProcessMemory) -> ProcessMemory:
        oom = one.oom
        if oom is not None:
            oom = msgspec.structs.replace(oom, stacks=tuple(map(holding, oom.stacks)))
        return msgspec.structs.replace(one, oom=oom, stacks=tuple(map(holding, one.stacks)))

    processes = tuple(map(process, run.result.processes))
    return msgspec.structs.replace(run, result=msgspec.structs.replace(run.result, processes=processes))
