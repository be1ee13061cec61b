"""The cases of ``cases.toml``: configurations of the reference step, and scripts beside it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.strict_text import parse_toml

CASES = Path(__file__).with_name("cases.toml")
SCRIPTS = Path(__file__).with_name("scripts")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to run on both cards.

    Attributes:
        tries: what it is there for, in a few words.
        config: of the reference step; else ``script`` is a file of ``scripts/``.
        full: a script runs to its own end; else until nothing can raise its peak.
        allocator: of a script: ``default`` or ``expandable``.
        timed: how long its step takes on the real card is asked, too.
        needs: a package that must be importable; empty: nothing beside torch.
    """

    id: str
    tries: str
    config: StepConfig | None = None
    script: str = ""
    full: bool = True
    allocator: str = "default"
    needs: str = ""
    timed: bool = False

    @property
    def missing(self) -> str:
        """Why it cannot be run here; empty if it can."""
        return f"no {self.needs}" if self.needs and importlib.util.find_spec(self.needs) is None else ""

    @property
    def identity(self) -> str:
        """SHA-256 of what runs: a prediction of another one says nothing."""
        said: dict[str, Any] = {"full": self.full, "allocator": self.allocator}
        if self.config is not None:
            said = self.config.to_dict()
        else:
            # Scripts import each other.
            said |= {path.name: path.read_text() for path in sorted(SCRIPTS.glob("*.py"))}
            said["script"] = self.script
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class _Entry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: str
    tries: str
    needs: str = ""


class _Configuration(_Entry, kw_only=True, forbid_unknown_fields=True):
    settings: dict[str, Any]
    timed: bool = False


class _Script(_Entry, kw_only=True, forbid_unknown_fields=True):
    script: str
    full: bool = True
    allocator: str = "default"


def load_cases(path: Path = CASES) -> tuple[Case, ...]:
    """The cases of a file, in its order.

    Raises:
        RequestError: it is not readable, no TOML, or a case is malformed or named twice.
    """
    try:
        tables = parse_toml(path.read_bytes())
        in_order = _in_order(path.read_text(), tables)
        cases = tuple(_case(each) for each in in_order)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise RequestError(f"{path.name}: {error}", hint=f"correct {path.name}") from error
    names = [each.id for each in cases]
    if len(set(names)) < len(names):
        raise RequestError(f"{path.name}: expected each id once, found one twice")
    return cases


def _in_order(text: str, tables: Mapping[str, Any]) -> Sequence[_Configuration | _Script]:
    """Both kinds of tables as they stand in the file: TOML itself keeps the order within a kind only."""
    configurations = iter(msgspec.convert(tables.get("configuration", []), list[_Configuration]))
    scripts = iter(msgspec.convert(tables.get("script", []), list[_Script]))
    heads = [line for line in text.splitlines() if line in ("[[configuration]]", "[[script]]")]
    return [next(configurations) if head == "[[configuration]]" else next(scripts) for head in heads]


def _case(entry: _Configuration | _Script) -> Case:
    if isinstance(entry, _Configuration):
        config = StepConfig.from_dict(entry.settings)
        return Case(id=entry.id, tries=entry.tries, needs=entry.needs, config=config, timed=entry.timed)
    if not (SCRIPTS / entry.script).is_file():
        raise ValueError(f"{entry.id}: there is no {entry.script} in {SCRIPTS.name}/")
    return Case(
        id=entry.id,
        tries=entry.tries,
        needs=entry.needs,
        script=entry.script,
        full=entry.full,
        allocator=entry.allocator,
    )


def choose(cases: Sequence[Case], only: str) -> tuple[Case, ...]:
    """Those whose id contains one of the words, which commas separate; all without words.

    Raises:
        RequestError: a word is in no id.
    """
    words = [each.strip() for each in only.split(",") if each.strip()]
    for word in words:
        if not any(word in case.id for case in cases):
            raise RequestError(
                f"--only: expected a part of a case's name, found {word!r:.80}",
                hint=f"choose from: {', '.join(case.id for case in cases)}",
            )
    return tuple(case for case in cases if not words or any(word in case.id for word in words))
