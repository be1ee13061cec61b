"""What must be the same on every machine of a fleet, or its answers would be others'."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from nanocheck.core.fingerprint import fingerprint

#: Of the fingerprint: what a node brings itself, and must have as the driver has it.
VERSIONS = ("nanocheck", "torch", "triton", "python")
#: Variables that can move a peak, or an answer that computes; Ray sets some of them in its workers.
_VARIABLES = ("PYTORCH_", "TORCH", "CUDA_", "CUBLAS_", "NVIDIA_", "TRITON_", "NANOCHECK_", "OMP_", "MKL_")
_PYTHON = ("PYTHONDONTWRITEBYTECODE", "PYTHONBREAKPOINT", "PYTHONUNBUFFERED")
#: Places on a machine, which each has of its own; and what chooses its card.
_OWN = ("_CACHE", "_DIR", "_HOME", "_PATH", "_ROOT", "_VISIBLE_DEVICES")


def versions() -> dict[str, str]:
    """Of this machine: nanocheck by its sources, torch, Triton, Python."""
    found = fingerprint()
    return {name: found[name] for name in VERSIONS}


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """What another machine has otherwise, in words; empty: nothing."""
    said = []
    for name in VERSIONS:
        mine, other = ours[name], theirs.get(name, "unknown")
        if mine != other:
            # A hash of sources says nothing to people.
            said.append(
                "other sources of nanocheck" if name == "nanocheck" else f"{name} {other}, not {mine}"
            )
    return ", ".join(said)


def differs(theirs: Mapping[str, object], ours: Mapping[str, str]) -> str:
    """In what a journal's fingerprint differs from this machine's, as far as it can move a result, in words;
    empty: in nothing.
    """
    said = difference(ours, {name: str(value) for name, value in theirs.items()})
    names = {name for name in (*theirs, *ours) if _travels(name) and theirs.get(name) != ours.get(name)}
    return ", ".join(filter(None, [said, *(f"another {name}" for name in sorted(names))]))


def variables(environment: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
    """What a station must find in its environment as it is here."""
    return tuple(sorted((name, value) for name, value in environment.items() if _travels(name)))


def take_over(
    wanted: tuple[tuple[str, str], ...], environment: MutableMapping[str, str] = os.environ
) -> None:
    """Make this process's environment the driver's, as far as it can change a result."""
    for name in [name for name in environment if _travels(name)]:
        del environment[name]
    environment.update(wanted)
    # Ray hides every card from a worker that asked it for none; which one is ours, the lease says.
    environment.pop("CUDA_VISIBLE_DEVICES", None)


def _travels(name: str) -> bool:
    return name in _PYTHON or (name.startswith(_VARIABLES) and not name.endswith(_OWN))
