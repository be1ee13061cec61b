"""What a search is asked, and what it finds: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, JudgedRun, Kind, Verdict
from nanocheck.search.step_cost import Cost
from nanocheck.search.tokens_per_step import Split
from nanocheck.timing.of_run import host_seconds


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    Attributes:
        base: the model; batch, accumulation and methods are found.
        tokens_per_step: batch x accumulation x block_size, of all ranks: one for each of the target's cards.
        dtypes, methods, modes, change_script: see ``axes.ways``.
        cycle: what a proof runs: the whole of it, evaluation and checkpoint included, by default; of several
            ranks ``train``.
        top: how many recommendations.
    """

    target: Target
    base: StepConfig
    tokens_per_step: int
    margin_bytes: int = DEFAULT_MARGIN_BYTES
    dtypes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("default", "off")
    change_script: bool = False
    cycle: str = "full"
    top: int = 3

    @property
    def tokens_per_rank(self) -> int:
        """What of ``tokens_per_step`` each rank trains on; what is left of a division is not."""
        return self.tokens_per_step // self.target.cards

    @property
    def limit_bytes(self) -> int:
        """What PyTorch may reserve and still be safe."""
        return self.target.device.surely_available_bytes - self.margin_bytes


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A run to make; ``record``: with the kernels of a step, from which its time is modelled."""

    config: StepConfig
    record: bool = False


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of the search. ``need_bytes`` is what it reserved, where it completed.

    ``time``: of a step of it on the card alone, *modelled*; None where none was recorded.
    """

    run: JudgedRun
    time: StepTime | None = None

    @property
    def result(self) -> RunResult:
        return self.run.result

    @property
    def verdict(self) -> Verdict:
        return self.run.verdict

    @property
    def config(self) -> StepConfig:
        """What ran."""
        assert self.result.config is not None
        return self.result.config

    @property
    def fits(self) -> bool:
        return self.verdict.kind is Kind.SAFE

    @property
    def host_s(self) -> float | None:
        """What this host took to issue a step, beside other runs: measured. More than ``time``, and the host
        may decide, not the card."""
        kernels = self.result.main.kernels
        return None if kernels is None else host_seconds(kernels, self.result.main.host_time)

    @property
    def need_bytes(self) -> int | None:
        return self.result.main.reserved_bytes if self.result.outcome is Outcome.COMPLETED else None


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """A configuration that fits, as it was run.

    Attributes:
        cost: counted before anything ran; it decided what was tried.
        beyond: the next larger batch that would be one, run and refused; ``None`` where there is none
            or it was not run.
        note: why no larger batch is it, or what else to know.
    """

    config: StepConfig
    split: Split
    cost: Cost
    trial: Trial
    beyond: Trial | None
    note: str

    @property
    def is_modelled(self) -> bool:
        """Whether its time is known from its own kernels, and not only counted."""
        return self.trial.time is not None

    @property
    def seconds(self) -> float:
        """Of an optimizer step: modelled, where it was recorded, else counted (``cost``)."""
        return self.cost.seconds if self.trial.time is None else self.trial.time.seconds

    @property
    def seconds_per_token(self) -> float:
        return self.seconds / self.cost.tokens


@dataclass(kw_only=True)
class Row:
    """What became of one variant: a recommendation, or why not."""

    variant: StepConfig
    runs: int = 0
    recommendation: Recommendation | None = None
    note: str = ""


@dataclass(kw_only=True)
class Advice:
    """
    Attributes:
        recommendations: best first.
        rows: every variant that was considered.
        trials: every run, in the order they ended.
        complete: not interrupted.
        tight: they are inside the margin: nothing is safe.
    """

    question: Question
    recommendations: list[Recommendation] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    complete: bool = False
    tight: bool = False


def smallest(advice: Advice) -> Trial | None:
    """The run that came nearest to fitting where none does: the least batch, the least memory."""
    answers = [trial for trial in advice.trials if trial.verdict.is_answer]
    return min(
        answers or advice.trials,
        key=lambda each: (each.config.batch, each.result.main.allocated_bytes),
        default=None,
    )
