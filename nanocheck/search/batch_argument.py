"""The argument of a script's own command line that is the batch size: found, read, replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nanocheck.core.errors import RequestError

#: ``--batch_size=16``, ``batch_size=16``, ``+train.batch-size=16``; the value is looked at later.
_ASSIGNED = re.compile(r"((?:-{1,2}|\+{1,2}|~)?([A-Za-z_][\w.-]*)=)(.*)", re.DOTALL)
_OPTION = re.compile(r"--?([A-Za-z_][\w.-]*)")
_USUAL = "batch_size"


@dataclass(frozen=True)
class BatchArgument:
    """Where the batch size stands.

    Attributes:
        name: as it is written, without the value.
        index: of the word in the command that holds the value.
        prefix: what stands before the value in that word.
        value: as given.
    """

    name: str
    index: int
    prefix: str
    value: int

    def set(self, command: Sequence[str], value: int) -> list[str]:
        """The command with another batch size."""
        changed = list(command)
        changed[self.index] = f"{self.prefix}{value}"
        return changed


def find_batch(command: Sequence[str], name: str | None = None) -> BatchArgument | None:
    """The argument called ``name``, else the only one whose name contains ``batch_size``.

    Dashes and underscores make no difference, nor does what stands before the last dot of a name.

    Returns:
        None when no name was given and there is no such argument.

    Raises:
        RequestError: the named one is not there or no whole number, or several may be meant.
    """
    arguments = _arguments(command)
    if name is not None:
        wanted = _key(name.lstrip("-+"))
        found = [each for each in arguments if _key(each[0]) == wanted] or [
            each for each in arguments if _key(each[0]).rpartition(".")[2] == wanted
        ]
    else:
        found = [each for each in arguments if _USUAL in _key(each[0]) and each[3].isdecimal()]
    if not found and name is None:
        return None
    if not found:
        there = ", ".join(dict.fromkeys(each[4] for each in arguments)) or "none"
        raise RequestError(
            f"--batch-arg {name}: expected it among the command's own arguments, found: {there}",
            hint="write it into the command with its value, such as --batch_size=16",
        )
    if len({each[0] for each in found}) > 1:
        names = ", ".join(each[0] for each in found)
        raise RequestError(
            f"--suggest: expected one argument with the batch size, found {names}",
            hint=f"choose: --batch-arg {found[0][0]}",
        )
    shown, index, prefix, value, _ = found[-1]  # parsers take the last one
    if not value.isdecimal() or int(value) < 1:
        raise RequestError(
            f"{shown}: expected a whole number of at least 1, found {value!r}",
            hint="name the argument that holds the batch size: --batch-arg NAME",
        )
    return BatchArgument(shown, index, prefix, int(value))


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


def _arguments(command: Sequence[str]) -> list[tuple[str, int, str, str, str]]:
    """Name, index of the word with the value, what stands before the value there, value, name as written."""
    found = []
    for index, word in enumerate(command):
        if index == 0:
            continue
        if assigned := _ASSIGNED.fullmatch(word):
            before, name, value = assigned.groups()
            found.append((name, index, before, value, before[:-1]))
        elif (option := _OPTION.fullmatch(word)) and index + 1 < len(command):
            found.append((option.group(1), index + 1, "", command[index + 1], word))
    return found
