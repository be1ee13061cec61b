"""Did every process that used a GPU use the one that was asked for? By what the processes themselves saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nanocheck.core.errors import MachineError

if TYPE_CHECKING:
    from nanocheck.attribution.event_reader import Observation


def refuse_other_gpus(seen: Sequence[Observation]) -> None:
    """After a run on the virtual GPU: nobody may take what a real card did for its answer.

    Something between us and the script can drop ``LD_PRELOAD``: ``env -i``, ``sudo``, a container, a program
    that is set-uid. Then PyTorch finds the machine's own card.

    Raises:
        MachineError: a process initialised CUDA and the virtual GPU was not loaded in it.
    """
    others = [each.start for each in seen if each.start is not None and each.start.virtual is None]
    if others:
        found = "; ".join(f"process {each.pid} on {each.device}" for each in others[:4])
        raise MachineError(
            f"expected every process on the virtual GPU, found {found}: no answer, since what they did is "
            "not what this card would do",
            hint="keep LD_PRELOAD and NANOCHECK_CARD in the environment of what the command starts "
            "(env -i, sudo and containers drop them)",
        )
