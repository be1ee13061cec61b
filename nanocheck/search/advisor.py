"""The fastest configurations that fit, each proven by a run.

The search knows two things without running: about how long a step would take, by a count (``step_cost``),
and that fewer batches need asking for than there are (``tokens.worthwhile``). Everything else is run: eager
steps take a second each and are bisected; compiled ones take half a minute, so they start where the eager
ones ended. A way that could not be noticeably faster than what was found, by that count, is left out, and
the result says so. What was proven is ranked by the model of time, from the kernels of its own step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from nanocheck.core import memory_formulas
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.result import RunResult
from nanocheck.core.units import mib
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.search import bisection, step_cost, tokens_per_step, training_variants
from nanocheck.search.advice import Advice, Asked, Question, Recommendation, Row, Trial
from nanocheck.search.scheduler import Pending, Runner, drive
from nanocheck.search.tokens_per_step import Split
from nanocheck.timing.of_run import step_time

#: What could be faster by no more than this is not worth half a minute of search; the count of operations
#: is not that good either.
ENOUGH = 1.03
#: A computed need is a reason not to run only where it is so far beyond the limit.
_SURE = 1.1
#: Sizes at once that dear searches ask for, and searches at once.
_SIDE_BY_SIDE = 2


class Measures(Protocol):
    """What runs configurations and can record them: ``measuring.configurations.Measurement``."""

    def submit(self, config: StepConfig, /, *, record: bool = False) -> Pending[RunResult]: ...

    def wait(self) -> None:
        """Until something changes."""
        ...


class _Runner:
    """``Measures`` as the scheduler has it."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self.wait = measures.wait

    def submit(self, asked: Asked, /) -> Pending[RunResult]:
        """One run."""
        return self._measures.submit(asked.config, record=asked.record)


def advise(question: Question, runner: Measures) -> Advice:
    """Search, until it is known or Ctrl-C; what was found until then is kept.

    Raises:
        RequestError: see ``axes.ways`` and ``tokens.splits``.
        MachineError: nothing can run here.
    """
    search = _Search(question, _Runner(runner))
    with contextlib.suppress(KeyboardInterrupt):
        search.run()
        search.advice.complete = True
    return search.finish()


#: Yields what to run and is sent the results.
_Asking = Generator[Sequence[Asked], Sequence[RunResult], None]


class _Search:
    def __init__(self, question: Question, runner: Runner[Asked, RunResult]) -> None:
        self.question = question
        self.runner = runner
        self.advice = Advice(question=question)
        self._splits = tokens_per_step.splits(question.tokens_per_rank, question.base.block_size)
        self._ways = training_variants.ways(
            question.base,
            question.target.gpu,
            dtypes=question.dtypes,
            methods=question.methods,
            modes=question.modes,
            change_script=question.change_script,
            cards=question.target.cards,
        )
        self._counted: set[str] = set()
        self._reached: dict[str, int] = {}
        self._known_worth: dict[StepConfig, list[Split]] = {}

    def run(self) -> None:
        """The eager steps of the plain way first: they tell where compiled ones should begin."""
        order = sorted(self._ways, key=lambda way: len(training_variants.name(way.variants[0]).split()))
        eager = [way for way in order if way.variants[0].compile == "off"]
        first = eager[:1]
        drive(self.runner, [self._way(way) for way in first])
        # At once only from the second on: what the plain compiled step reaches decides what else is run.
        rest = [way for way in order if way not in first]
        drive(self.runner, [self._way(way) for way in rest[:1]])
        queue = iter(sorted(rest[1:], key=lambda way: self._ideal(way.variants[0])))
        drive(self.runner, [self._all(queue) for _ in range(_SIDE_BY_SIDE)])

    def finish(self) -> Advice:
        """The answers in order, and those inside the margin where nothing is safe."""
        advice = self.advice
        answers = [row.recommendation for row in advice.rows if row.recommendation is not None]
        advice.tight = not answers
        if not answers:
            answers = [self._recommend(trial, None, "") for trial in advice.trials if self._is_tight(trial)]
        # What was counted alone is not held against what was modelled: it comes after it. The sort is stable,
        # and simpler variants stand before others.
        answers.sort(
            key=lambda each: (not each.is_modelled, round(each.seconds_per_token, 12), -each.config.batch)
        )
        kept: dict[str, Recommendation] = {}
        for each in answers:
            kept.setdefault(
                training_variants.name(replace(each.config, allocator=self.question.base.allocator)), each
            )
        advice.recommendations = list(kept.values())[: self.question.top]
        return advice

    def _is_tight(self, trial: Trial) -> bool:
        config = trial.config
        return trial.verdict.kind is Kind.TIGHT and config.cycle == self.question.cycle and self._may(config)

    def _may(self, config: StepConfig) -> bool:
        return self.question.change_script or training_variants.expressible(
            replace(config, batch=self.question.base.batch, accumulation=1, cycle="train")
        )

    # -- one way ------------------------------------------------------------------------------------------

    def _all(self, queue: Iterator[training_variants.Way]) -> _Asking:
        for way in queue:
            yield from self._way(way)

    def _way(self, way: training_variants.Way) -> _Asking:
        rows: list[Row] = []
        for variant in way.variants:
            row = Row(variant=variant)
            row.note = self._skip_reason(variant, rows)
            rows.append(row)
            if way.expressible:
                self.advice.rows.append(row)
            if row.note or not way.expressible:
                continue
            if variant.compile == "off":
                yield from self._eager(variant, row)
            else:
                yield from self._compiled(variant, row)

    def _skip_reason(self, variant: StepConfig, before: Sequence[Row]) -> str:
        """Why a variant is not run, or nothing.

        Args:
            before: the simpler variants of the same way.
        """
        answered = [row.recommendation for row in before if row.recommendation is not None]
        same = [each for each in answered if each.config.dtype == variant.dtype]
        if answered and not same and variant.compile != "off":
            return f"no smaller and no faster than {training_variants.name(answered[0].config)}"
        if same:
            larger = self._too_large(same[0])
            if larger and variant.compile != "off":
                return larger
            return self._no_faster(variant, same[0])
        found = [row.recommendation for row in self.advice.rows if row.recommendation is not None]
        plain = len(training_variants.name(variant).split()) == len(
            training_variants.name(self._ways[0].variants[0]).split()
        )
        tried = any(row.runs for row in before)
        if tried or not found or (plain and all(each.config.compile == "off" for each in found)):
            return ""
        return self._no_faster(variant, min(found, key=lambda each: each.cost.seconds_per_token))

    def _no_faster(self, variant: StepConfig, best: Recommendation) -> str:
        ideal = self._ideal(variant)
        if best.cost.seconds_per_token <= ideal * ENOUGH:
            gain = best.cost.seconds_per_token / ideal - 1
            name = training_variants.name(best.config)
            return f"at most {max(gain, 0):.1%} faster than {name}, were memory free (computed)"
        return ""

    def _ideal(self, variant: StepConfig) -> float:
        """Predicted seconds per token with the largest batch, as if it fitted."""
        return min((self._seconds(variant, each) for each in self._worth(variant)), default=float("inf"))

    def _too_large(self, answer: Recommendation) -> str:
        """Why no allocator would make room for the next larger batch, or nothing.

        Arithmetic, and so only for what is dear to run: what tensors ask for grows with the batch along a
        line from weights, gradients and state at none through the answer, to within the ``_SURE``.
        """
        batch, allocated = answer.config.batch, answer.trial.result.main.allocated_bytes
        following = [
            each.batch
            for each in self._worth(replace(answer.config, batch=1, accumulation=1))
            if each.batch > batch
        ]
        if not following:
            return "no larger batch is an answer"
        static = memory_formulas.static_bytes(answer.config)
        expected = static + (allocated - static) * following[0] // batch
        if expected < _SURE * self.question.limit_bytes:
            return ""
        return f"tensors of batch {following[0]} alone would be {mib(expected)} MiB (computed)"

    # -- runs ---------------------------------------------------------------------------------------------

    def _eager(self, variant: StepConfig, row: Row) -> _Asking:
        worth = self._worth(variant)
        found = yield from self._bisect(variant, worth, row)
        self._reached[training_variants.name(replace(variant, allocator="default"))] = found.largest
        # Where nothing is safe, the least batch is run as a whole all the same: it may yet be tight.
        sizes = [each for each in worth if each.batch <= found.largest] or list(worth[:1])
        beyond = self._last_trial(self._config(variant, worth, found.refused), "train")
        while sizes:
            # The proof is a run of all that the script does; the search has left out evaluation.
            config = self._of(variant, sizes[-1], self.question.cycle)
            trial = (yield from self._run([config], row, record=True))[0]
            if trial.fits:
                row.recommendation = self._recommend(trial, beyond, self._exceptions(found))
                return
            beyond = trial
            sizes.pop()
        row.note = f"not even batch {worth[0].batch} is safe"

    def _compiled(self, variant: StepConfig, row: Row) -> _Asking:
        worth = self._worth(variant)
        scout = replace(variant, compile="off", memory_budget=100)
        known = self._reached.get(training_variants.name(replace(scout, allocator="default")))
        if known is None:
            known = (yield from self._bisect(scout, worth, Row(variant=scout))).largest
            self._reached[training_variants.name(replace(scout, allocator="default"))] = known
        sizes = [each.batch for each in worth]
        # Compiled steps keep less: the first pair is the next two sizes, so that the second is refused.
        start = next((size for size in sizes if size > known), sizes[-1])
        asking = bisection.largest_in_pairs(sizes, self.question.limit_bytes, start=start)
        seen: dict[int, Trial] = {}
        asked = next(asking)
        while True:
            configs = [self._config(variant, worth, size, self.question.cycle) for size in asked]
            # A compiled run takes half a minute; some steps more to record it take a second.
            trials = yield from self._run([each for each in configs if each is not None], row, record=True)
            seen.update(zip(asked, trials, strict=True))
            try:
                asked = asking.send(dict(zip(asked, trials, strict=True)))
            except StopIteration as end:
                found: bisection.Found = end.value
                break
        if not found.largest:
            row.note = f"not even batch {min(seen)} is safe"
            return
        beyond = None if found.refused is None else seen[found.refused]
        row.recommendation = self._recommend(
            seen[found.largest], beyond, self._exceptions(found) or self._line(seen, sizes)
        )

    def _line(self, seen: dict[int, Trial], sizes: Sequence[int]) -> str:
        """What the first size that was not run would need, by a line through the last two that were."""
        known = sorted((size, trial.need_bytes) for size, trial in seen.items() if trial.need_bytes)[-2:]
        following = [size for size in sizes if size > max(seen)]
        if len(known) < 2 or not following:
            return ""
        (first, need), (second, more) = known
        expected = int(more or 0) + (following[0] - second) * (int(more or 0) - int(need or 0)) // (
            second - first
        )
        return (
            f"batch {following[0]} was not run: a line through {first} and {second} "
            f"asks for {mib(expected)} MiB (computed)"
        )

    def _bisect(
        self, variant: StepConfig, worth: Sequence[Split], row: Row
    ) -> Generator[Sequence[Asked], Sequence[RunResult], bisection.Found]:
        asking = bisection.largest_that_fits([each.batch for each in worth], self.question.limit_bytes)
        (size,) = next(asking)
        while True:
            config = self._config(variant, worth, size)
            assert config is not None
            trial = (yield from self._run([config], row))[0]
            try:
                (size,) = asking.send({size: trial})
            except StopIteration as end:
                found: bisection.Found = end.value
                return found

    def _run(
        self, configs: Sequence[StepConfig], row: Row, *, record: bool = False
    ) -> Generator[Sequence[Asked], Sequence[RunResult], list[Trial]]:
        target = self.question.target
        # No list of a real card is turned into time, nor one of several ranks.
        record = record and target.kind == "virtual" and target.cards == 1
        results = yield [Asked(config=each, record=record) for each in configs]
        trials = [
            Trial(
                run=JudgedRun.of(each, self.question.margin_bytes),
                # Other runs of the search go beside: what they leave of this host would decide the order.
                time=step_time(each, target.gpu, host=False) if record else None,
            )
            for each in results
        ]
        row.runs += len(trials)
        for trial in trials:
            if trial.result.id not in self._counted:
                self._counted.add(trial.result.id)
                self.advice.trials.append(trial)
            elif trial.time is not None:  # the same run once more, now recorded
                known = [each.result.id for each in self.advice.trials].index(trial.result.id)
                self.advice.trials[known] = trial
            if not trial.verdict.is_answer:
                row.note = str(trial.verdict)
        return trials

    # -- small things -------------------------------------------------------------------------------------

    def _worth(self, variant: StepConfig) -> list[Split]:
        """Splits that could be an answer; those that do not go with the methods are none."""
        key = replace(variant, allocator="default")
        if key not in self._known_worth:
            possible = []
            for each in self._splits:
                with contextlib.suppress(RequestError):
                    possible.append((each, self._seconds(variant, each)))
            found = tokens_per_step.worthwhile(
                [each for each, _ in possible], [seconds for _, seconds in possible]
            )
            self._known_worth[key] = found
        return self._known_worth[key]

    def _of(self, variant: StepConfig, split: Split, cycle: str = "train") -> StepConfig:
        return replace(variant, batch=split.batch, accumulation=split.accumulation, cycle=cycle)

    def _config(
        self, variant: StepConfig, worth: Sequence[Split], batch: int | None, cycle: str = "train"
    ) -> StepConfig | None:
        chosen = [each for each in worth if each.batch == batch]
        return self._of(variant, chosen[0], cycle) if chosen else None

    def _last_trial(self, config: StepConfig | None, cycle: str) -> Trial | None:
        return next((each for each in self.advice.trials if each.config == config), None)

    def _seconds(self, variant: StepConfig, split: Split) -> float:
        return step_cost.cost(self._of(variant, split), self.question.target.gpu).seconds_per_token

    def _recommend(self, trial: Trial, beyond: Trial | None, note: str) -> Recommendation:
        config = trial.config
        return Recommendation(
            config=config,
            split=tokens_per_step.split(self.question.tokens_per_rank, config.block_size, config.batch),
            cost=step_cost.cost(config, self.question.target.gpu),
            trial=trial,
            beyond=beyond,
            note=note,
        )

    def _exceptions(self, found: bisection.Found) -> str:
        if not found.exceptions:
            return ""
        return f"not monotone: {', '.join(map(str, found.exceptions))} fits, a smaller batch does not"
