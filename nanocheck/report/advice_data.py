"""Advice and frontier as plain typed data: what ``--json`` writes, and all that terminal and page read.

Schema history (``SCHEMA``):
1. first version.
2. typed; *answers* are *recommendations*, device and environment as in a ``RunResult``. Since then
   recommendations have the ``time`` of a step, modelled, and rows say where their seconds are from.
"""

from __future__ import annotations

import msgspec

import nanocheck
from nanocheck.core import methods, sharding
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.result import Environment, Provenance
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import Verdict
from nanocheck.report import script_settings
from nanocheck.report.script_settings import Settings
from nanocheck.search import step_cost, training_variants
from nanocheck.search.advice import Advice, Recommendation, Row, Trial, smallest
from nanocheck.search.frontier import Cell, Charted

SCHEMA = 2


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of a model."""

    model: str
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    vocab_size: int
    bias: bool
    window: str
    parameters: int

    @classmethod
    def of(cls, config: StepConfig) -> Model:
        return cls(**{name: getattr(config, name) for name in cls.__struct_fields__})

    @property
    def label(self) -> str:
        """``d12`` for a nanochat, ``12 x 768`` for a GPT-2."""
        return f"{self.n_layer} x {self.n_embd}" if self.model == "gpt2" else f"d{self.n_layer}"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run and its verdict; sizes in bytes."""

    id: str
    name: str
    config: StepConfig
    batch: int
    accumulation: int
    provenance: Provenance
    verdict: Verdict
    allocated_bytes: int
    reserved_bytes: int
    phase: str

    @classmethod
    def of(cls, trial: Trial) -> Run:
        config, main = trial.config, trial.result.main
        return cls(
            id=trial.result.id,
            name=training_variants.name(config),
            config=config,
            batch=config.batch,
            accumulation=config.accumulation,
            provenance=trial.result.provenance,
            verdict=trial.verdict,
            allocated_bytes=main.allocated_bytes,
            reserved_bytes=main.reserved_bytes,
            phase=main.peak_phase,
        )


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What ``search.step_cost`` counts before anything runs; times in seconds."""

    provenance: Provenance = Provenance.COMPUTED
    operations: float
    traffic_bytes: float
    seconds: float
    tokens_per_second: float

    @classmethod
    def of(cls, cost: step_cost.Cost) -> Predicted:
        return cls(
            operations=cost.operations,
            traffic_bytes=cost.traffic_bytes,
            seconds=cost.seconds,
            tokens_per_second=cost.tokens / cost.seconds,
        )


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that fits, as it was run.

    ``deviation``: fraction by which ``tokens`` misses what was asked. ``time``: of a step on the card
    alone, *modelled* from its own kernels; None where none was recorded. ``host_s``: what this host took to
    issue that step beside other runs, measured. ``predicted``: the count that decided what was tried.
    ``beyond``: the next larger batch that was refused.
    """

    name: str
    batch: int
    accumulation: int
    tokens: int
    deviation: float
    time: StepTime | None
    host_s: float | None
    predicted: Predicted
    run: Run
    beyond: Run | None
    note: str
    notes: tuple[str, ...]
    settings: Settings
    script_must_change: bool

    @property
    def seconds(self) -> float:
        """Of a step: modelled where it could be, else computed (``time_provenance``)."""
        return self.predicted.seconds if self.time is None else self.time.seconds

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def host_may_decide(self) -> bool:
        """Whether this host, as busy as it was, needs longer than the card."""
        return self.time is not None and self.host_s is not None and self.host_s > self.time.seconds

    @property
    def time_provenance(self) -> Provenance:
        """Of ``seconds``."""
        return Provenance.COMPUTED if self.time is None else self.time.provenance

    @classmethod
    def of(cls, found: Recommendation) -> Recommended:
        return cls(
            name=training_variants.name(found.config),
            batch=found.split.batch,
            accumulation=found.split.accumulation,
            tokens=found.split.tokens * found.config.ranks,
            deviation=found.split.deviation,
            time=found.trial.time,
            host_s=found.trial.host_s,
            predicted=Predicted.of(found.cost),
            run=Run.of(found.trial),
            beyond=None if found.beyond is None else Run.of(found.beyond),
            note=found.note,
            notes=(*methods.notes(found.config), *sharding.notes(found.config), *_untimed(found.config)),
            settings=script_settings.settings(found.config),
            script_must_change=not training_variants.expressible(found.config),
        )


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one variant: its batch, or why there is none in ``note``.

    ``seconds``: of a step, as ``time_provenance`` says.
    """

    name: str
    runs: int
    batch: int | None
    accumulation: int | None
    seconds: float | None
    time_provenance: Provenance | None
    note: str

    @classmethod
    def of(cls, row: Row) -> Searched:
        found = row.recommendation
        return cls(
            name=training_variants.name(row.variant),
            runs=row.runs,
            batch=None if found is None else found.split.batch,
            accumulation=None if found is None else found.split.accumulation,
            seconds=None if found is None else found.seconds,
            time_provenance=None if found is None else _provenance(found),
            note=row.note,
        )


def _untimed(config: StepConfig) -> tuple[str, ...]:
    if config.ranks == 1:
        return ()
    return ("seconds are counted without what the ranks say to each other: no order of ways of sharding",)


def _provenance(found: Recommendation) -> Provenance:
    return Provenance.MODELLED if found.is_modelled else Provenance.COMPUTED


class AdviceFile(msgspec.Struct, frozen=True, kw_only=True):
    """An advice. ``cards``: of the machine, a rank on each. ``tight``: nothing is safe, these finished inside
    the margin. ``nearest``: the run that came nearest to fitting."""

    schema: int = SCHEMA
    kind: str = "advice"
    nanocheck: str = nanocheck.__version__
    device: Device
    margin_bytes: int
    model: Model
    tokens_per_step: int
    cards: int = 1
    complete: bool
    tight: bool
    recommendations: tuple[Recommended, ...]
    searched: tuple[Searched, ...]
    runs: int
    environment: Environment
    nearest: Run | None

    @classmethod
    def of(cls, found: Advice) -> AdviceFile:
        question, nearest = found.question, smallest(found)
        return cls(
            device=question.target.device,
            margin_bytes=question.margin_bytes,
            model=Model.of(question.base),
            tokens_per_step=question.tokens_per_step,
            cards=question.target.cards,
            complete=found.complete,
            tight=found.tight,
            recommendations=tuple(map(Recommended.of, found.recommendations)),
            searched=tuple(map(Searched.of, found.rows)),
            runs=len(found.trials),
            environment=found.trials[0].result.environment if found.trials else Environment(),
            nearest=None if nearest is None else Run.of(nearest),
        )

    @property
    def provenances(self) -> tuple[str, ...]:
        return tuple(sorted({each.run.provenance.value for each in self.recommendations}))


class FrontierCell(msgspec.Struct, frozen=True, kw_only=True):
    """One model and method. ``known``: the search has ended. ``largest``: 0 where not even batch 1 fits.

    ``exceptions``: batches that fit beyond a smaller one that does not.
    """

    row: int
    column: int
    known: bool
    refusal: str
    largest: int
    exceptions: tuple[int, ...]
    fits: Run | None
    refused: Run | None
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, cell: Cell) -> FrontierCell:
        found = cell.found
        refused = None if found is None else found.refused
        return cls(
            row=cell.row,
            column=cell.column,
            known=found is not None,
            refusal=cell.refusal,
            largest=0 if found is None else found.largest,
            exceptions=() if found is None else found.exceptions,
            fits=Run.of(cell.trials[found.largest]) if found is not None and found.largest else None,
            refused=Run.of(cell.trials[refused]) if refused is not None else None,
            runs=tuple(Run.of(cell.trials[batch]) for batch in sorted(cell.trials)),
        )


class FrontierFile(msgspec.Struct, frozen=True, kw_only=True):
    """The largest batch of each model (``rows``) and method (``columns``), of a rank on each of ``cards``."""

    schema: int = SCHEMA
    kind: str = "frontier"
    nanocheck: str = nanocheck.__version__
    device: Device
    margin_bytes: int
    accumulation: int
    cards: int = 1
    complete: bool
    rows: tuple[Model, ...]
    columns: tuple[str, ...]
    cells: tuple[FrontierCell, ...]
    runs: int
    environment: Environment

    @classmethod
    def of(cls, charted: Charted) -> FrontierFile:
        chart = charted.chart
        trials = [trial for cell in charted.cells for trial in cell.trials.values()]
        return cls(
            device=chart.target.device,
            margin_bytes=chart.margin_bytes,
            accumulation=chart.models[0].accumulation,
            cards=chart.target.cards,
            complete=charted.complete,
            rows=tuple(map(Model.of, chart.models)),
            columns=chart.methods,
            cells=tuple(map(FrontierCell.of, charted.cells)),
            runs=len(trials),
            environment=trials[0].result.environment if trials else Environment(),
        )

    @property
    def provenances(self) -> tuple[str, ...]:
        return tuple(sorted({run.provenance.value for each in self.cells for run in each.runs}))

    def cell(self, row: int, column: int) -> FrontierCell:
        """The cell at a place."""
        return next(each for each in self.cells if (each.row, each.column) == (row, column))
