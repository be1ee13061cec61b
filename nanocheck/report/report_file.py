"""A report as data: rows of records with their verdicts, and the JSON file they live in.

Schema history (``SCHEMA``):
1. first version; ``sections`` may be missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nanocheck.core.comparison import Comparison
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import read_json
from nanocheck.core.result import Record
from nanocheck.core.verdict import KINDS, Verdict
from nanocheck.report.section import Section

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration: what ran, what it means, how it stands to its baseline, why it is in the matrix."""

    record: Record
    verdict: Verdict
    comparison: Comparison | None = None
    why: str = ""

    @property
    def config(self) -> StepConfig:
        return self.record.config

    @property
    def provenance(self) -> str:
        """With the real card's name where a larger card was capped: its peaks are not the asked card's."""
        capped = self.record.device.get("capped_from")
        return f"{self.record.provenance}, capped {capped}" if capped else self.record.provenance


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a report shows.

    Attributes:
        date: day of the run, ``YYYY-MM-DD``.
        command: what reproduces it.
        margin_bytes: what had to stay free for a verdict of safe.
        rows: in the matrix's order.
        whole: whether the whole matrix ran.
        sections: what other suites found, of this session or, with its own date, of an earlier one.
    """

    date: str
    command: str
    margin_bytes: int
    rows: tuple[Row, ...]
    whole: bool = True
    sections: tuple[Section, ...] = ()

    @property
    def provenances(self) -> tuple[str, ...]:
        """Each provenance that occurs, sorted; more than one must be told apart wherever a number stands."""
        return tuple(sorted({row.provenance for row in self.rows}))

    @property
    def card(self) -> str:
        """The name of the card, and where others hold memory on it, how much."""
        names = {str(row.record.device.get("name", "unknown card")) for row in self.rows}
        return ", ".join(sorted(names)) or "unknown card"

    @property
    def environments(self) -> tuple[Mapping[str, Any], ...]:
        """The different environments, in the order they occur."""
        return _distinct([row.record.environment for row in self.rows])

    @property
    def devices(self) -> tuple[Mapping[str, Any], ...]:
        """The different devices, in the order they occur."""
        return _distinct([row.record.device for row in self.rows])

    def counts(self) -> dict[str, int]:
        """How many rows have which verdict, best first, without zeros."""
        found = Counter(row.verdict.kind for row in self.rows)
        return {kind: found[kind] for kind in KINDS if found[kind]}


def model_name(config: StepConfig) -> str:
    """``GPT-2 124M`` for GPT-2's own shape, else its layers, heads and width, with its parameters."""
    millions = f"{config.parameters / 1e6:.0f} M parameters"
    shape = f"{config.n_layer} layers, {config.n_head} heads, {config.n_embd} wide"
    own = (config.n_layer, config.n_head, config.n_embd, config.vocab_size) == (12, 12, 768, 50304)
    name = f"GPT-2 124M ({shape})" if own else f"GPT-2, {shape} ({millions})"
    return name if config.block_size == StepConfig.block_size else f"{name}, {config.block_size} tokens"


def dumps(report: Report) -> str:
    """The report's JSON: one line per row, deterministic but for the date.

    Wall times are left out: they differ from run to run and would hide a change of a peak in a diff.
    """
    environments, devices = report.environments, report.devices
    rows = []
    for row in report.rows:
        plain = row_to_plain(replace(row, record=replace(row.record, seconds={})))
        plain["record"]["environment"] = environments.index(row.record.environment)
        plain["record"]["device"] = devices.index(row.record.device)
        rows.append({"id": row.record.id, **plain})
    head = {
        "schema": SCHEMA,
        "date": report.date,
        "command": report.command,
        "margin_bytes": report.margin_bytes,
        "whole": report.whole,
        "environments": [dict(each) for each in environments],
        "devices": [dict(each) for each in devices],
        "sections": [each.to_dict() for each in report.sections],
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value, sort_keys=True)}," for name, value in head.items()]
    body = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in rows)
    return "\n".join(["{", *lines, ' "rows": [', *([body] if body else []), " ]", "}", ""])


def load(path: Path) -> Report:
    """The report in a JSON file.

    Raises:
        StoredDataError: the file is damaged or of another schema.
    """
    hint = "run the suite again: pytest suites/"
    data, _ = read_json(path, hint=hint)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise StoredDataError(f"{path}: expected a report of schema {SCHEMA}, found {found!r}", hint=hint)
    try:
        return Report(
            date=data["date"],
            command=data["command"],
            margin_bytes=data["margin_bytes"],
            whole=data["whole"],
            rows=tuple(_row(row, data["environments"], data["devices"]) for row in data["rows"]),
            sections=tuple(Section.from_dict(each) for each in data.get("sections", ())),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StoredDataError(f"{path}: malformed report: {error!r}", hint=hint) from error


def row_to_plain(row: Row) -> dict[str, Any]:
    """A row as plain data for JSON."""
    return {
        "why": row.why,
        "verdict": asdict(row.verdict),
        "comparison": None if row.comparison is None else asdict(row.comparison),
        "record": row.record.to_dict(),
    }


def row_of_plain(data: Mapping[str, Any]) -> Row:
    """The row of plain data.

    Raises:
        StoredDataError, KeyError, TypeError: the data are no row.
    """
    return Row(
        record=Record.from_dict(data["record"]),
        verdict=Verdict(**data["verdict"]),
        comparison=None if data["comparison"] is None else Comparison(**data["comparison"]),
        why=data["why"],
    )


def _row(data: Mapping[str, Any], environments: Sequence[Any], devices: Sequence[Any]) -> Row:
    stored = dict(data["record"])
    stored["environment"] = environments[stored["environment"]]
    stored["device"] = devices[stored["device"]]
    return row_of_plain({**data, "record": stored})


def _distinct(values: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    result: list[Mapping[str, Any]] = []
    for value in values:
        if value not in result:
            result.append(value)
    return tuple(result)
