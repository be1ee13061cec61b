"""What runs with every release: a configuration of the reference step, or somebody's command.

Each becomes a ``nanocheck run`` of a program in the release's own environment. nanocheck need not be
installed there: a configuration finds it through a link, and its step needs nothing but torch and numpy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import nanocheck
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.diff_side import without_folders
from nanocheck.core.errors import RequestError
from nanocheck.drift.interpreters import Interpreter
from nanocheck.measuring.background_run import Variation
from nanocheck.measuring.configurations import ALLOCATOR_VARIABLES
from nanocheck.measuring.interpreter import interpreter_of
from nanocheck.measuring.request import Request
from nanocheck.process.spawn import find_program
from nanocheck.virtual.card import card_text

#: The language that the reference step is written in.
_OLDEST_PYTHON = (3, 11)
#: Longer files are no scripts, and what they hold is not looked at.
_MOST_BYTES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One thing that runs.

    Attributes:
        name: the configuration's id, or the command as one types it.
        config: ``None`` for a command. request: how the run is watched, on the card that it names.
        target: that card.
    """

    name: str
    config: StepConfig | None
    request: Request
    target: Target

    @property
    def identity(self) -> str:
        """What decides its result beside the release: a configuration, or a command with the files that it
        names; the card and how long it is watched.
        """
        request = self.request
        what: object = self.config.to_dict() if self.config is not None else _content(request.command)
        options = [each for each in request.options() if not each.startswith("/")]
        # A file's card can change under its name.
        card = [self.target.kind, card_text(self.target)]
        return hashlib.sha256(json.dumps([what, options, card], sort_keys=True).encode()).hexdigest()[:16]

    def variation(self, python: Interpreter, links: Path) -> Variation:
        """Its run with one release.

        Args:
            links: a folder that holds nothing but ``nanocheck``.

        Raises:
            RequestError: the release's Python is too old, or its environment lacks the program.
        """
        environment = {"PATH": python.search_path, "VIRTUAL_ENV": str(python.root)}
        if self.config is None:
            command = in_environment(self.request.command, python)
            return Variation(name=python.torch.version, command=command, environment=environment)
        if tuple(int(each) for each in python.python.split(".")[:2]) < _OLDEST_PYTHON:
            raise RequestError(
                f"expected Python 3.11 or newer for a configuration, found {python.python} beside torch "
                f"{python.torch.version}",
                hint="commands run on any: nanocheck drift --torch ... -- python train.py",
            )
        if not python.has_numpy:
            raise RequestError(
                f"expected numpy beside torch {python.torch.version} for a configuration, found none",
                hint=f"{python.program} -m pip install numpy",
            )
        expandable = "expandable_segments:True" if self.config.allocator == "expandable" else ""
        if expandable or any(each in os.environ for each in ALLOCATOR_VARIABLES):
            environment |= dict.fromkeys(ALLOCATOR_VARIABLES, expandable)
        environment |= {"PYTHONPATH": str(links), "TORCH_WARM_POOL": "0", "PYTHONHASHSEED": "0"}
        text = json.dumps(self.config.to_dict())
        return Variation(
            name=python.torch.version,
            command=(str(python.program), "-P", "-m", "nanocheck.step.as_script", text),
            environment=environment,
        )


def of_config(config: StepConfig, request: Request, target: Target) -> Subject:
    """A configuration, which runs to its own end."""
    to_its_end = replace(request, steps=0, cover=(), longest=False)
    return Subject(name=config.id, config=config, request=to_its_end, target=target)


def of_command(request: Request, target: Target) -> Subject:
    """A command."""
    return Subject(
        name=without_folders(shlex.join(request.command)), config=None, request=request, target=target
    )


def in_environment(command: Sequence[str], python: Interpreter) -> tuple[str, ...]:
    """The command with the release's own Python, or its own program of that name.

    Raises:
        RequestError: there is no such program, or it is one of nanocheck's own environment.
    """
    first, *rest = command
    program = find_program(command, {**os.environ, "PATH": python.search_path})
    of_python = interpreter_of(program, os.environ)
    if of_python is None:  # a shell script, say: it finds the release's Python by PATH
        return tuple(command)
    if of_python == program:
        return (str(python.program), *rest)
    own = python.program.parent / PurePath(first).name
    if own.exists():
        return (str(own), *rest)
    raise RequestError(
        f"expected {PurePath(first).name} in the environment of torch {python.torch.version}, found none",
        hint="--with PACKAGE installs what the command needs, or write it as: python -m MODULE ...",
    )


def link_to_nanocheck(folder: Path) -> Path:
    """A folder to find nanocheck in, and nothing that lies beside it: packages of our environment belong to
    our torch.
    """
    (folder / "nanocheck").symlink_to(Path(nanocheck.__file__).parent.resolve(), target_is_directory=True)
    return folder


def _content(command: Sequence[str]) -> list[list[str]]:
    """The words, with the content of those that are files: a script that was edited is another one."""
    found = []
    for word in command:
        path = Path(word)
        try:
            known = path.is_file() and path.stat().st_size <= _MOST_BYTES
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if known else ""
        except (OSError, ValueError):
            digest = ""
        found.append([word, digest])
    return found
