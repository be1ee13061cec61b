"""What the command's processes find in their environment: the card, the observer, the limits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import nanocheck
from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.observe import absent_ranks, card_clock, relaunch
from nanocheck.observe.values.policies import POLICIES, VARIABLE
from nanocheck.process import stack_dump
from nanocheck.timing.card import Card

#: Optimizer steps that are watched at least; 0: run to the end.
DEFAULT_STEPS = 3
#: Which of a machine's cards a process may use.
VISIBLE = "CUDA_VISIBLE_DEVICES"

_OBSERVE = Path(nanocheck.__file__).parent / "observe"
#: Variables of ours that an outer `nanocheck run` may have left.
_OWN = "NANOCHECK_RUN"


def child_environment(
    target: Target,
    folder: Path,
    *,
    ours: bool = True,
    steps: int = DEFAULT_STEPS,
    cover: Sequence[str] = (),
    longest: bool = False,
    sizes: str = POLICIES[0],
    snapshot: Path | None = None,
    time: bool = False,
    clock: int = 0,
    ranks: str = absent_ranks.ALL,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The whole environment of the command.

    Args:
        target: the card; a virtual one is compiled on first use.
        folder: where the observer writes.
        ours: the command is a Python of nanocheck's own environment: its virtual GPU is there from the start.
            Any other Python finds its own torch's (``observe/relaunch.py``).
        steps: see ``DEFAULT_STEPS``.
        cover: what must have been seen, too, of ``core.coverage.PHASES``.
        longest: every second batch is made of the longest samples, where their lengths are known.
        sizes: see ``Request.sizes``.
        snapshot: where to write PyTorch's own snapshot format.
        time: once memory is known, time a few steps and record one.
        clock: so many steps after that go on by the card's clock; needs ``time``.
        ranks: those that run, see ``observe.absent_ranks``.
        base: ``os.environ`` by default.

    Raises:
        MachineError: the virtual GPU cannot be built here, or nothing can be observed from where we are.
    """
    if os.pathsep in str(_OBSERVE):
        raise MachineError(
            f"expected nanocheck in a folder without {os.pathsep!r} in its path, found {_OBSERVE}: "
            "PYTHONPATH is split there, and nothing would be observed",
            hint="move the environment that nanocheck is installed in",
        )
    found = os.environ if base is None else base
    environment = {name: value for name, value in found.items() if not name.startswith(_OWN)}
    if target.kind == "virtual":
        environment.update(_virtual(target, environment, ours=ours, clock=bool(clock)))
    elif target.capped_from is not None or target.reserve_bytes:
        allowed = target.available_bytes
        environment["NANOCHECK_RUN_MEMORY_BYTES"] = str(allowed)
    environment["NANOCHECK_RUN"] = str(folder.absolute())
    environment["NANOCHECK_MACHINE"] = str(_shared(folder).absolute())
    environment[absent_ranks.VARIABLE] = ranks
    environment["NANOCHECK_RUN_STEPS"] = str(steps)
    environment["NANOCHECK_RUN_COVER"] = ",".join(cover)
    environment["NANOCHECK_RUN_LONGEST"] = "1" if longest else ""
    on_card = relaunch.ON_CARD if target.kind == "real" else "1"
    environment["NANOCHECK_RUN_TIME"] = on_card if time else ""
    if clock:
        environment[card_clock.STEPS] = str(clock)
        environment[card_clock.CARD] = json.dumps(asdict(Card.of(target.gpu)))
    environment[VARIABLE] = sizes
    environment["NANOCHECK_RUN_STACK_SIGNAL"] = str(stack_dump.SIGNAL)
    if snapshot is not None:
        environment["NANOCHECK_RUN_SNAPSHOT"] = str(snapshot.absolute())
    environment["PYTHONPATH"] = _first(_OBSERVE / "site", environment.get("PYTHONPATH"))
    return environment


def _virtual(target: Target, environment: Mapping[str, str], *, ours: bool, clock: bool) -> dict[str, str]:
    from nanocheck.virtual.card import card_text

    return {
        relaunch.TOOL: sys.executable,
        relaunch.PRELOAD: environment.get("LD_PRELOAD", ""),
        "NANOCHECK_CARD": card_text(target),
        "NANOCHECK_CARDS": str(target.machine_cards),
        # The order of sets and dicts can move a peak.
        "PYTHONHASHSEED": environment.get("PYTHONHASHSEED", "0"),
        **(_of_our_torch(target, clock) if ours else {VISIBLE: relaunch.NO_CARD}),
        # Holds the stand-in for nvidia-smi.
        "PATH": _first(_OBSERVE / "bin", environment.get("PATH", os.defpath)),
    }


def _shared(folder: Path) -> Path:
    """Where the processes of one run leave each other what the machine knows: cards in use, messages."""
    shared = folder / "machine"
    shared.mkdir(exist_ok=True)
    return shared


def _of_our_torch(target: Target, clock: bool) -> dict[str, str]:
    from nanocheck.virtual import card_environment, prepare
    from nanocheck.virtual.installed_torch import find_torch

    return {
        relaunch.TORCH: os.path.realpath(find_torch().folder),
        **prepare().launch_environment(clock=clock),
        **card_environment(target),
        # All that the machine has, whatever of a real one was meant.
        VISIBLE: ",".join(map(str, range(target.machine_cards))),
    }


def _first(folder: Path, others: str | None) -> str:
    return os.pathsep.join([str(folder), *([others] if others else [])])
