"""What benchmarks/xmem.py reads and keeps: xMem's rows, how they were drawn, and nanocheck's answers."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"
ROWS = DATA / "xmem_rows.csv"
LISTING = DATA / "xmem_listing.csv"
REPEATS = DATA / "xmem_repeats.csv"
CARD = DATA / "xmem_card.toml"
RESULT = DATA / "xmem_result.json"
#: As the columns of ROWS begin, and as the tools are called.
TOOLS = {"xmem": "xMem", "dnnmem": "DNNMem", "llmem": "LLMem", "schedtune": "SchedTune"}
SEED = 12
DRAWN = {"A1": 8, "M2": 6}


@dataclass(frozen=True)
class Prediction:
    """What a tool says of a row: MiB, and whether it runs out of memory."""

    mib: float
    oom: bool


@dataclass(frozen=True)
class Row:
    """A run that xMem's authors measured: MiB of NVML at the peak less the first sample, and how it ended."""

    name: str
    taken: str
    model: str
    optimizer: str
    batch: int
    zero_grad_mode: int | None
    measured_mib: int
    measured_oom: bool
    tools: dict[str, Prediction]


@dataclass(frozen=True)
class Answer:
    """What ``nanocheck run`` says of a row on the virtual card; MiB; ``verdict`` is its own word."""

    verdict: str
    reserved_mib: float | None
    allocated_mib: float | None
    retries: int | None
    detail: str = ""

    @property
    def prediction(self) -> Prediction | None:
        """Comparable with a tool's, or None where the row broke."""
        if self.reserved_mib is None or self.verdict not in ("safe", "tight", "partial", "oom"):
            return None
        return Prediction(self.reserved_mib, self.verdict == "oom")


@dataclass(frozen=True)
class Result:
    """A whole run of the benchmark: what with, and an answer for each row.

    ``later``: rows far off, run again as a later task of their process: reserved MiB less those before.
    """

    provenance: str
    torch: str
    transformers: str
    card: str
    capacity_mib: float
    rows: dict[str, Answer]
    later: dict[str, float]


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def rows() -> list[Row]:
    """Every row, in the order of the listing."""
    return [
        Row(
            name=line["name"],
            taken=line["taken"],
            model=line["model"],
            optimizer=line["optimizer"],
            batch=int(line["batch"]),
            zero_grad_mode=int(line["zero_grad_mode"]) if line["zero_grad_mode"] else None,
            measured_mib=int(line["measured_mib"]),
            measured_oom=line["measured_oom"] == "yes",
            tools={
                tool: Prediction(float(line[f"{tool}_mib"]), line[f"{tool}_oom"] == "yes")
                for tool in TOOLS
                if line[f"{tool}_mib"]
            },
        )
        for line in _lines(ROWS)
    ]


def repeats() -> dict[str, list[tuple[int, int]]]:
    """What further real runs of a row measured, each with its limit; MiB; see the file's first lines."""
    found: dict[str, list[tuple[int, int]]] = {}
    for line in _lines(REPEATS):
        found.setdefault(line["name"], []).append((int(line["measured_mib"]), int(line["limit_mib"])))
    return found


def draw() -> set[str]:
    """The rows that were drawn at random, drawn again from the listing; see its first lines."""
    listed = _lines(LISTING)
    chance = random.Random(SEED)
    drawn: set[str] = set()
    for group, number in DRAWN.items():
        left = [row["name"] for row in listed if row["set"] == group and row["taken"] in ("-", "drawn")]
        drawn |= set(chance.sample(left, number))
    return drawn


def load(path: Path = RESULT) -> Result:
    """A stored result."""
    stored = json.loads(path.read_text())
    answers = {name: Answer(**answer) for name, answer in stored.pop("rows").items()}
    return Result(rows=answers, **stored)


def save(result: Result, path: Path) -> None:
    """Written so that a change of one row is one line of a diff."""
    head = {key: value for key, value in asdict(result).items() if key != "rows"}
    body = [f"  {json.dumps(name)}: {json.dumps(asdict(each))}" for name, each in result.rows.items()]
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    path.write_text("\n".join(["{", *lines, ' "rows": {', ",\n".join(body), " }", "}"]) + "\n")
