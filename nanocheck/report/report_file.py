"""A report as data: rows of results with their verdicts, and the JSON file they live in.

Schema history (``SCHEMA``):
1. records; ``sections`` may be missing.
2. results, each with its device and environment beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec

from nanocheck.core.comparison import Comparison
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.files import dump_rows, read_typed
from nanocheck.core.result import Environment, RunResult
from nanocheck.core.verdict import Kind, Verdict
from nanocheck.report.section import Section

SCHEMA = 2


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened, what it means, how it stands to its baseline, why it is in the matrix.

    ``id``: the result's own, here for those who read the file.
    """

    id: str = ""
    result: RunResult
    verdict: Verdict
    comparison: Comparison | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if self.id not in ("", self.result.id):
            raise ValueError(f"expected the id {self.result.id}, found {self.id}")
        msgspec.structs.force_setattr(self, "id", self.result.id)

    @property
    def config(self) -> StepConfig:
        """
        Raises:
            ValueError: the result is that of a command; a report has none.
        """
        if self.result.config is None:
            raise ValueError(f"expected a configuration, found the command {self.result.id}")
        return self.result.config

    @property
    def provenance(self) -> str:
        """With the real card's name where a larger card was capped: its peaks are not the asked card's."""
        capped = self.result.device.capped_from
        return f"{self.result.provenance}, capped {capped}" if capped else self.result.provenance.value


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a report shows.

    Attributes:
        date: day of the run, ``YYYY-MM-DD``.
        command: what reproduces it.
        margin_bytes: what had to stay free for a verdict of safe.
        rows: in the matrix's order.
        whole: whether the whole matrix ran.
        sections: what other suites found, of this session or, with its own date, of an earlier one.
    """

    schema: int = SCHEMA
    date: str
    command: str
    margin_bytes: int
    whole: bool = True
    sections: tuple[Section, ...] = ()
    rows: tuple[Row, ...]

    @property
    def provenances(self) -> tuple[str, ...]:
        """Each provenance that occurs, sorted; more than one must be told apart wherever a number stands."""
        return tuple(sorted({row.provenance for row in self.rows}))

    @property
    def card(self) -> str:
        """The name of the card."""
        return ", ".join(sorted({row.result.device.name for row in self.rows})) or "unknown card"

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The different environments, in the order they occur."""
        return tuple(dict.fromkeys(row.result.environment for row in self.rows))

    @property
    def devices(self) -> tuple[Device, ...]:
        """The different devices, in the order they occur."""
        return tuple(dict.fromkeys(row.result.device for row in self.rows))

    def counts(self) -> dict[str, int]:
        """How many rows have which verdict, best first, without zeros."""
        found = Counter(row.verdict.kind for row in self.rows)
        return {kind.value: found[kind] for kind in Kind if found[kind]}


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
    head = msgspec.to_builtins(msgspec.structs.replace(report, rows=()))
    del head["rows"]
    rows = []
    for row in report.rows:
        plain = msgspec.structs.replace(row, result=msgspec.structs.replace(row.result, seconds={}))
        rows.append(json.dumps(msgspec.to_builtins(plain)))
    return dump_rows(head, "rows", rows)


def load(path: Path) -> Report:
    """The report in a JSON file.

    Raises:
        StoredDataError: the file is damaged or of another schema.
    """
    return read_typed(
        path, Report, what="a report", schema=SCHEMA, hint="run the suite again: pytest suites/"
    )
