"""Which runs with room answer for which cards of one compute capability."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.result import RunResult
from nanocheck.tables.derivation import asked

#: What, beside the compute capability, a step can see of a card but its size: multiprocessors, L2.
Behaviour = tuple[int, int]

#: Queries that one block of flash attention's forward takes, and with how many blocks a multiprocessor it is
#: content: ``set_params_splitkv`` and ``num_splits_heuristic`` of PyTorch's flash_attn/flash_api.cpp.
_QUERIES, _FULL_WAVE = 64, 0.8 * 2


def behaviour(target: Target) -> Behaviour:
    """Cards of one compute capability and one behaviour run every step alike, as long as it fits."""
    return target.gpu.sms, target.gpu.l2_bytes


def goes_up_and_down(config: StepConfig, most_sms: int) -> bool:
    """Whether what a step asks for may rise and fall with the multiprocessors.

    Inductor divides reductions by them, and the rest of that division goes up and down (GPT-2 124M, batch 8:
    7,169.7 MiB allocated on 36, 7,173.5 on 46, 7,170.2 on 56). Flash attention that has not enough blocks for
    the card splits the keys, into a number that fills it best, and holds a result for each part (one head of
    64, 4,096 tokens: 4 parts on 46, 2 on 76, 4 on 128). Sampling always has so few.
    """
    blocks = config.batch * config.n_head * -(-config.block_size // _QUERIES)
    return config.compile != "off" or config.cycle == "whole" or blocks < _FULL_WAVE * most_sms


class SharedRuns:
    """The runs with room of one configuration, for cards of one compute capability.

    An eager step: of the cards that are asked about, those with the fewest and the most multiprocessors are
    run. Where every figure of both is the same, what lies between asks for the same, too; otherwise the
    middle one is run, and so on. That nothing goes up with the multiprocessors and comes down again is what
    cards of 28 to 188 showed; ``proving`` checks it by chance. Where ``goes_up_and_down``, every number of
    multiprocessors is run.
    """

    def __init__(self, config: StepConfig, targets: Iterable[Target]) -> None:
        kinds: dict[Behaviour, Target] = {}
        for target in targets:
            kinds.setdefault(behaviour(target), target)
        self._order = [kinds[each] for each in sorted(kinds)]
        self._places = {each: place for place, each in enumerate(sorted(kinds))}
        self._found: dict[int, RunResult] = {}
        self._every = goes_up_and_down(config, max(sms for sms, _ in kinds))

    @property
    def largest(self) -> Target:
        """The card with the most multiprocessors."""
        return self._order[-1]

    def missing(self, wanted: Iterable[Target]) -> Sequence[Target]:
        """Whom to run next, so that all these cards are answered for; none: they are."""
        unknown = sorted({place for each in wanted if self._run_of(place := self._place(each)) is None})
        if self._every:
            return [self._order[each] for each in unknown]
        gaps: dict[tuple[int | None, int | None], list[int]] = {}
        for place in unknown:
            gaps.setdefault(self._around(place), []).append(place)
        next_ones: set[int] = set()
        for (below, above), places in gaps.items():
            inside = below is not None and above is not None
            next_ones |= {places[(len(places) - 1) // 2]} if inside else set()
            next_ones |= {places[0]} if below is None else set()
            next_ones |= {places[-1]} if above is None else set()
        return [self._order[each] for each in sorted(next_ones)]

    def add(self, target: Target, result: RunResult) -> None:
        """What came out on this card, with room."""
        self._found[self._place(target)] = result

    def answer(self, target: Target) -> tuple[RunResult, str] | None:
        """The run that answers for a card, and the id of the card that it was made for; None: none does."""
        place = self._run_of(self._place(target))
        return None if place is None else (self._found[place], self._order[place].gpu.id)

    def _place(self, target: Target) -> int:
        return self._places[behaviour(target)]

    def _run_of(self, place: int) -> int | None:
        if place in self._found:
            return place
        below, above = self._around(place)
        if self._every or below is None or above is None:
            return None
        return below if asked(self._found[below]) == asked(self._found[above]) else None

    def _around(self, place: int) -> tuple[int | None, int | None]:
        """The nearest that were run, with fewer and with more multiprocessors."""
        return (
            max((each for each in self._found if each < place), default=None),
            min((each for each in self._found if each > place), default=None),
        )
