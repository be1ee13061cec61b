"""Filling a table: which runs are made, and which cells they answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.verdict import Verdict, classify
from nanocheck.search.scheduler import Pending, Search, drive
from nanocheck.tables.derivation import asked, derive, with_room


@dataclass(frozen=True)
class Ask:
    """One run. ``record``: with the kernels of a step."""

    config: StepConfig
    target: Target
    record: bool = False


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a cell.

    Attributes:
        roomy: the run with room that says what the step asks for. run_on: the card it was made for.
        own: the run on the card itself, where there was one.
    """

    verdict: Verdict
    roomy: RunResult
    run_on: str
    own: RunResult | None = None


@dataclass(kw_only=True)
class Filled:
    """Cells by (configuration, card); ``recorded``: by (configuration, capability), the run that has kernels.

    ``with_room``, ``on_card``: how many runs were made of each kind. ``complete``: not interrupted.
    """

    cells: dict[tuple[str, str], Known] = field(default_factory=dict)
    recorded: dict[tuple[str, tuple[int, int]], RunResult] = field(default_factory=dict)
    with_room: int = 0
    on_card: int = 0
    complete: bool = False


class Submits:
    """A measurement as ``drive`` wants it: a question is an ``Ask``."""

    def __init__(self, submit: Callable[..., Pending[RunResult]], wait: Callable[[], None]) -> None:
        self._submit, self.wait = submit, wait

    def submit(self, question: Ask, /) -> Pending[RunResult]:
        return self._submit(question.config, record=question.record, target=question.target)


def fill(
    configs: Sequence[StepConfig],
    targets: Sequence[Target],
    runner: Submits,
    *,
    margin_bytes: int,
    record: bool = False,
    share: bool = True,
) -> Filled:
    """Every configuration on every card; until Ctrl-C, which keeps what was found.

    Args:
        record: record a step's kernels, once for each compute capability.
        share: False runs every cell on its own card.

    Raises:
        MachineError: nothing can be started here.
    """
    filled = Filled()
    kinds: dict[tuple[int, int], list[Target]] = {}
    for target in targets:
        kinds.setdefault(target.gpu.capability, []).append(target)
    one = _shared if share else _each
    with contextlib.suppress(KeyboardInterrupt):
        drive(
            runner,
            [
                one(filled, config, kind, margin_bytes, record)
                for config in configs
                for kind in kinds.values()
            ],
        )
        filled.complete = True
    return filled


def _each(
    filled: Filled, config: StepConfig, targets: Sequence[Target], margin_bytes: int, record: bool
) -> Search[Ask, RunResult]:
    """One configuration on each card of one compute capability, nothing derived."""
    runs = yield [Ask(config, target, record) for target in targets]
    for target, own in zip(targets, runs, strict=True):
        filled.on_card += 1
        verdict = classify(own, margin_bytes)
        filled.cells[config.id, target.gpu.id] = Known(
            verdict=verdict, roomy=own, run_on=target.gpu.id, own=own
        )
        if record and verdict.fits:
            filled.recorded[config.id, target.gpu.capability] = own


def _shared(
    filled: Filled, config: StepConfig, targets: Sequence[Target], margin_bytes: int, record: bool
) -> Search[Ask, RunResult]:
    """One configuration on the cards of one compute capability."""
    roomy = yield from _with_room(filled, config, targets, record)
    border: list[Target] = []
    for target in targets:
        run, run_on = roomy[_behaviour(target)]
        verdict = derive(run, target, margin_bytes)
        if verdict is None:
            border.append(target)
        else:
            filled.cells[config.id, target.gpu.id] = Known(verdict=verdict, roomy=run, run_on=run_on)
    for target in border:
        (own,) = yield [Ask(config, target)]
        filled.on_card += 1
        run, run_on = roomy[_behaviour(target)]
        filled.cells[config.id, target.gpu.id] = Known(
            verdict=classify(own, margin_bytes), roomy=run, run_on=target.gpu.id, own=own
        )


#: What, beside the compute capability, a step can see of a card but its size: multiprocessors, L2.
_Behaviour = tuple[int, int]


def _behaviour(target: Target) -> _Behaviour:
    return target.gpu.sms, target.gpu.l2_bytes


#: Queries that one block of flash attention's forward takes, and with how many blocks a multiprocessor it is
#: content: ``set_params_splitkv`` and ``num_splits_heuristic`` of PyTorch's flash_attn/flash_api.cpp.
_QUERIES, _FULL_WAVE = 64, 0.8 * 2


def _goes_up_and_down(config: StepConfig, most_sms: int) -> bool:
    """Whether what a step asks for may rise and fall with the multiprocessors.

    Inductor divides reductions by them, and the rest of that division goes up and down (GPT-2 124M, batch 8:
    7,169.7 MiB allocated on 36, 7,173.5 on 46, 7,170.2 on 56). Flash attention that has not enough blocks for
    the card splits the keys, into a number that fills it best, and holds a result for each part (one head of
    64, 4,096 tokens: 4 parts on 46, 2 on 76, 4 on 128). Sampling always has so few.
    """
    blocks = config.batch * config.n_head * -(-config.block_size // _QUERIES)
    return config.compile != "off" or config.cycle == "whole" or blocks < _FULL_WAVE * most_sms


def _with_room(
    filled: Filled, config: StepConfig, targets: Sequence[Target], record: bool
) -> Generator[Sequence[Ask], Sequence[RunResult], Mapping[_Behaviour, tuple[RunResult, str]]]:
    """By behaviour, the run that answers for it, and the card of that run.

    An eager step: the smallest and the largest card are run. Where every figure of both is the same, what
    lies between asks for the same, too; otherwise the middle one is run, and so on. That nothing goes up with
    the multiprocessors and comes down again is what cards of 28 to 188 showed; ``prove`` checks it by
    chance. Where ``_goes_up_and_down``, every number of multiprocessors is run.
    """
    kinds: dict[_Behaviour, Target] = {}
    for target in targets:
        kinds.setdefault(_behaviour(target), target)
    order = [kinds[each] for each in sorted(kinds)]
    found: dict[int, RunResult] = {}
    last = len(order) - 1
    every = _goes_up_and_down(config, max(sms for sms, _ in kinds))
    spans = [(each, each) for each in range(last + 1)] if every else [(0, last)]
    while spans:
        missing = sorted({end for span in spans for end in span} - set(found))
        asks = [Ask(config, with_room(order[each]), record and each == last) for each in missing]
        results = yield asks
        filled.with_room += len(asks)
        found.update(zip(missing, results, strict=True))
        spans = [
            half
            for low, high in spans
            if high - low > 1 and asked(found[low]) != asked(found[high])
            for half in ((low, (low + high) // 2), ((low + high) // 2, high))
        ]
    if record and found[last].outcome is Outcome.COMPLETED:
        filled.recorded[config.id, order[last].gpu.capability] = found[last]
    answers: dict[_Behaviour, tuple[RunResult, str]] = {}
    for index, target in enumerate(order):
        below = max(each for each in found if each <= index)
        answers[_behaviour(target)] = found[below], order[below].gpu.id
    return answers
