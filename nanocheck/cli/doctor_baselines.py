"""Which stored peaks the main job would compare with here: this torch's own, or another's verdicts."""

from __future__ import annotations

import re
from pathlib import Path

import nanocheck
from nanocheck.cli.doctor_checks import PartialError
from nanocheck.core.gpus import DEFAULT_GPU

FOLDER = "baselines"


def baselines() -> str:
    """Of the default card, virtual: those of the current folder, else of nanocheck's wheel or checkout."""
    from nanocheck.core.baselines import load, release_of, update_command
    from nanocheck.virtual.installed_torch import find_torch

    here = find_torch().version
    stored = _stored(DEFAULT_GPU)
    command = update_command(DEFAULT_GPU)
    if here in stored:
        count = len(load(stored[here], hint=command).configurations)
        return f"{count} configurations of torch {here} on {DEFAULT_GPU}: compared to the byte"
    if not stored:
        raise PartialError(
            f"expected baselines of torch {here} on {DEFAULT_GPU}, found none: nothing is compared",
            hint=command,
        )
    nearest = min(stored, key=lambda torch: abs(release_of(torch) - release_of(here)))
    raise PartialError(
        f"expected baselines of torch {here} on {DEFAULT_GPU}, found those of {', '.join(stored)}: the "
        f"verdicts of {nearest} are held here, no bytes are compared",
        hint=f"{command}   # stores those of torch {here}",
    )


def _stored(gpu: str) -> dict[str, Path]:
    """Torch -> file."""
    package = Path(nanocheck.__file__).parent
    for folder in (Path(FOLDER), package / FOLDER, package.parent / FOLDER):
        found = {
            name[1]: path
            for path in sorted((folder / gpu).glob("*.json"))
            if (name := re.fullmatch(r"linux-torch(.+)-virtual", path.stem))
        }
        if found:
            return found
    return {}
