"""Which configurations a suite runs, read from a TOML file.

::

    [[group]]                       # every list is an axis; the group is the product of its axes
    name = "GPT-2 124M, eager"
    why = "what fits without torch.compile"
    batch = [1, 2, 4, 8]
    dtype = ["bf16", "fp16"]

    [[configuration]]               # one configuration, with the reason it is here
    why = "the nanoGPT note, exactly"
    n_embd = 576
    batch = 16
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.strict_text import parse_toml

#: More than this many configurations in one file is taken for a slip of the pen.
MAX_CONFIGURATIONS = 10_000

_FIELDS = tuple(field.name for field in fields(StepConfig))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One configuration of a matrix, with where it comes from and why it is there."""

    config: StepConfig
    group: str
    why: str = ""

    @property
    def id(self) -> str:
        return self.config.id


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The configurations of one file, in the file's order; ids are unique."""

    path: Path
    entries: tuple[Entry, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(entry.id for entry in self.entries)

    @property
    def configs(self) -> tuple[StepConfig, ...]:
        return tuple(entry.config for entry in self.entries)


def load_matrix(path: Path) -> Matrix:
    """The matrix in a TOML file.

    Raises:
        RequestError: the file is missing or not TOML, a table or key is unknown, a value has the wrong
            type or is out of range, an axis is empty, two places describe the same configuration, or there
            are more than ``MAX_CONFIGURATIONS``.
    """
    try:
        data = parse_toml(path.read_bytes())
    except OSError as error:
        raise RequestError(
            f"expected a matrix at {path}, found: {error.strerror or error}",
            hint="name an existing TOML file with --nanocheck-matrix FILE",
        ) from error
    except ValueError as error:
        raise RequestError(f"{path}: not TOML: {error!s:.400}", hint=f"fix the syntax in {path}") from error

    unknown = sorted(set(data) - {"group", "configuration"})
    if unknown:
        raise RequestError(
            f"{path}: expected only [[group]] and [[configuration]], found {', '.join(map(repr, unknown))}",
            hint="rename the table; a single [group] is written [[group]]",
        )
    entries: list[Entry] = []
    for number, table in enumerate(_tables(path, data, "group"), 1):
        entries += _group(path, number, table, before=len(entries))
    single = _tables(path, data, "configuration")
    _refuse_too_many(path, "[[configuration]]", len(entries) + len(single))
    for number, table in enumerate(single, 1):
        entries.append(_configuration(path, number, table))
    if not entries:
        raise RequestError(
            f"{path}: expected at least one configuration, found none",
            hint="add a [[group]] or a [[configuration]]",
        )
    _refuse_duplicates(path, entries)
    return Matrix(path=path, entries=tuple(entries))


def _tables(path: Path, data: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    tables = data.get(kind, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RequestError(
            f"{path}: {kind}: expected tables, found {tables!r:.80}", hint=f"write it as [[{kind}]]"
        )
    return tables


def _refuse_too_many(path: Path, where: str, count: int) -> None:
    """Before they are made: each costs time and memory."""
    if count > MAX_CONFIGURATIONS:
        raise RequestError(
            f"{path}: expected at most {MAX_CONFIGURATIONS} configurations in a file, found {count} up to "
            f"{where}",
            hint="split the file, or shorten its axes",
        )


def _group(path: Path, number: int, table: Mapping[str, Any], before: int) -> list[Entry]:
    name = _text(path, f"group {number}", table, "name", required=True)
    where = f"group {number} ({name!r})"
    why = _text(path, where, table, "why")
    axes = {key: value for key, value in table.items() if key not in ("name", "why")}
    _refuse_unknown(path, where, axes)
    values = {key: value if isinstance(value, list) else [value] for key, value in axes.items()}
    for key, choices in values.items():
        if not choices:
            raise RequestError(
                f"{path}: {where}: {key}: expected at least one value, found []",
                hint=f"give {key} a value or remove the line",
            )
    _refuse_too_many(path, where, before + math.prod(len(choices) for choices in values.values()))
    return [
        Entry(config=_config(path, where, dict(zip(values, row, strict=True))), group=name, why=why)
        for row in itertools.product(*values.values())
    ]


def _configuration(path: Path, number: int, table: Mapping[str, Any]) -> Entry:
    where = f"configuration {number}"
    why = _text(path, where, table, "why", required=True)
    group = _text(path, where, table, "group") or "single configurations"
    settings = {key: value for key, value in table.items() if key not in ("why", "group")}
    _refuse_unknown(path, where, settings)
    return Entry(config=_config(path, where, settings), group=group, why=why)


def _config(path: Path, where: str, settings: Mapping[str, Any]) -> StepConfig:
    try:
        return StepConfig.from_dict(settings)
    except RequestError as error:
        raise RequestError(
            f"{path}: {where}: {error.problem}", hint=error.hint or f"edit {where} in {path}"
        ) from error


def _text(path: Path, where: str, table: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or (required and not value.strip()):
        raise RequestError(
            f"{path}: {where}: {key}: expected a text, found {table.get(key)!r:.80}",
            hint=f'add {key} = "..." to {where}',
        )
    return value.strip()


def _refuse_unknown(path: Path, where: str, settings: Mapping[str, Any]) -> None:
    unknown = sorted(set(settings) - set(_FIELDS))
    if unknown:
        raise RequestError(
            f"{path}: {where}: unknown key {', '.join(map(repr, unknown))}",
            hint=f"use these keys: {', '.join(_FIELDS)}",
        )


def _refuse_duplicates(path: Path, entries: Sequence[Entry]) -> None:
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.id, entry)
        if other is not entry:
            raise RequestError(
                f"{path}: expected each configuration once, found {entry.id} twice: "
                f"in {other.group!r} and in {entry.group!r}",
                hint="remove it from one of the two",
            )
