"""The largest safe batch of each way on each card, searched; from as few runs as prove it.

The cards of one compute capability are searched side by side, so that a batch which one of them asks for
answers all whom it can. What the table says of its own batches needs no run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Environment, RunResult
from nanocheck.core.table import How, Largest, LargestBatches, Runs, Setting, Table, Tried
from nanocheck.core.verdict import Verdict, classify
from nanocheck.search.scheduler import Search, drive
from nanocheck.tables.card_search import CardSearch, known_of, tried
from nanocheck.tables.derivation import derive, is_never_safe, with_room
from nanocheck.tables.filling import Ask, Submits
from nanocheck.tables.making import command
from nanocheck.tables.sharing import SharedRuns, behaviour, goes_up_and_down

#: No larger batch is tried, unless one asks for it.
MOST = 4096
#: Of steps that share no run, since every number of multiprocessors is another: searched on so few kinds.
_KINDS = 4
_SIDE_BY_SIDE = 2


@dataclass(kw_only=True)
class _Searched:
    """What is found, as it comes."""

    table: Table
    most: int
    share: bool
    own_cards: Mapping[str, Sequence[str]] | None
    found: dict[tuple[str, str], Largest] = field(default_factory=dict)
    with_room: int = 0
    on_card: int = 0


def search(
    table: Table,
    targets: Sequence[Target],
    runner: Submits,
    *,
    ways: Sequence[Setting] = (),
    most: int = MOST,
    share: bool = True,
    own_cards: Mapping[str, Sequence[str]] | None = None,
) -> LargestBatches:
    """Search every way on every card, until Ctrl-C, which keeps what was found; ``Table.largest`` of it.

    Args:
        targets: cards of the table.
        ways: a setting of each way to be searched, whatever its batch; default: all ways of the table.
        share: False runs every batch on each card itself.
        own_cards: as of ``making.make``.

    Raises:
        RequestError: this PyTorch is not the one that the table was made with.
        MachineError: nothing can be started here.
    """
    began = time.monotonic()
    searched = _Searched(table=table, most=most, share=share, own_cards=own_cards)
    kinds: dict[tuple[int, int], list[Target]] = {}
    for target in targets:
        kinds.setdefault(target.gpu.capability, []).append(target)
    wanted = list({each.way: each for each in ways or table.settings}.values())
    refused = {each.way: why for each in wanted if (why := _refusal(each.config, targets, share))}
    queue = iter([(each, kind) for each in wanted if each.way not in refused for kind in kinds.values()])
    complete = False
    with contextlib.suppress(KeyboardInterrupt):
        drive(runner, [_several(searched, queue) for _ in range(_SIDE_BY_SIDE)])
        complete = True
    order = [(each.way, target.gpu.id) for each in wanted for target in targets]
    return LargestBatches(
        most=most,
        found=tuple(searched.found[key] for key in order if key in searched.found),
        left_out=refused,
        runs=Runs(with_room=searched.with_room, on_card=searched.on_card),
        seconds=time.monotonic() - began,
        complete=complete,
    )


def joined(earlier: LargestBatches | None, later: LargestBatches) -> LargestBatches:
    """Both, without a proof; what was searched twice as it was found later.

    Raises:
        RequestError: they went to different limits.
    """
    if earlier is None:
        return later
    if earlier.most != later.most:
        raise RequestError(
            f"--most-batch: expected {earlier.most}, as the table was searched before, found {later.most}"
        )
    found = earlier.batches() | later.batches()
    there = {way for way, _ in found}
    return LargestBatches(
        most=later.most,
        found=tuple(found.values()),
        left_out={way: why for way, why in (earlier.left_out | later.left_out).items() if way not in there},
        runs=Runs(
            with_room=earlier.runs.with_room + later.runs.with_room,
            on_card=earlier.runs.on_card + later.runs.on_card,
        ),
        seconds=earlier.seconds + later.seconds,
        complete=earlier.complete and later.complete,
    )


def _refusal(config: StepConfig, targets: Sequence[Target], share: bool) -> str:
    """Why a way is not searched; empty where it is."""
    kinds = len({(each.gpu.capability, behaviour(each)) for each in targets})
    # However large the batch, it goes up and down.
    whatever = replace(config, batch=MOST)
    if not share or kinds <= _KINDS or not goes_up_and_down(whatever, max(each.gpu.sms for each in targets)):
        return ""
    what = "a compiled step" if config.compile != "off" else "a step that samples"
    return (
        f"{what} shares no run between numbers of multiprocessors, and these cards have {kinds}: it is "
        f"searched on at most {_KINDS} kinds of cards at once (--gpu)"
    )


def _several(searched: _Searched, queue: Iterator[tuple[Setting, list[Target]]]) -> Search[Ask, RunResult]:
    for setting, targets in queue:
        yield from _of_kind(searched, setting, targets)


def _of_kind(searched: _Searched, setting: Setting, targets: Sequence[Target]) -> Search[Ask, RunResult]:
    """One way on the cards of one compute capability."""
    margin = searched.table.margin_bytes
    cards = []
    for target in targets:
        known, no_answer = known_of(searched.table, setting.way, target)
        card = CardSearch(target, known, searched.most, margin)
        if no_answer is not None and not known:
            card.give_up(str(no_answer))
        cards.append(card)
    runs: dict[int, SharedRuns] = {}
    while True:
        for card in cards:
            if card.batch is None and (setting.way, card.target.gpu.id) not in searched.found:
                searched.found[setting.way, card.target.gpu.id] = _largest(searched, setting, card)
        looking = [each for each in cards if each.batch is not None]
        if not looking:
            return
        own = looking
        if searched.share:
            yield from _with_room(searched, setting.config, targets, looking, runs)
            own = [each for each in looking if not _told(each, runs)]
        asks = [Ask(replace(setting.config, batch=each.batch or 1), each.target) for each in own]
        results = (yield asks) if asks else []
        for card, ask, result in zip(own, asks, results, strict=True):
            _check(searched, result)
            searched.on_card += 1
            _take(card, {ask.config.batch: (classify(result, margin), result)}, How.RUN)


def _with_room(
    searched: _Searched,
    config: StepConfig,
    targets: Sequence[Target],
    looking: Sequence[CardSearch],
    runs: dict[int, SharedRuns],
) -> Search[Ask, RunResult]:
    """Run until what every card asks for is answered by a card with room."""
    wanted: dict[int, list[Target]] = {}
    for card in looking:
        if card.batch is not None:
            wanted.setdefault(card.batch, []).append(card.target)
    for batch in wanted:
        runs.setdefault(batch, SharedRuns(replace(config, batch=batch), targets))
    while asks := [
        Ask(replace(config, batch=batch), with_room(each))
        for batch, those in wanted.items()
        for each in runs[batch].missing(those)
    ]:
        for ask, result in zip(asks, (yield asks), strict=True):
            _check(searched, result)
            searched.with_room += 1
            runs[ask.config.batch].add(ask.target, result)


def _told(card: CardSearch, runs: Mapping[int, SharedRuns]) -> bool:
    """Tell a card all that runs with room say; whether that answers what it asked for."""
    asked = card.batch
    new: dict[int, Tried] = {}
    for batch, shared in runs.items():
        answer = shared.answer(card.target)
        if answer is None or batch in card.tried:
            continue
        run, run_on = answer
        verdict = derive(run, card.target, card.margin_bytes)
        if verdict is None and not is_never_safe(run, card.target, card.margin_bytes):
            continue
        if verdict is not None and not verdict.is_answer:
            if batch == asked:
                card.give_up(f"{verdict.kind} at batch {batch}: {verdict.sentence}")
                return True
            continue
        new[batch] = tried(batch, verdict, run, How.DERIVED, run_on)
    if asked not in new:
        return False
    card.learn(new)
    return True


def _take(card: CardSearch, runs: Mapping[int, tuple[Verdict, RunResult]], how: How) -> None:
    for batch, (verdict, run) in runs.items():
        if verdict.is_answer:
            card.learn({batch: tried(batch, verdict, run, how, card.target.gpu.id)})
        else:
            card.give_up(f"{verdict.kind} at batch {batch}: {verdict.sentence}")


def _largest(searched: _Searched, setting: Setting, card: CardSearch) -> Largest:
    found = card.found
    if found is None:
        return Largest(way=setting.way, gpu=card.target.gpu.id, batch=None, reason=card.reason)
    start = replace(setting.config, batch=max(found.largest, 1))
    again = command(start, card.target, card.margin_bytes, searched.own_cards)
    limit = "" if searched.most == MOST else f" --most-batch {searched.most}"
    return Largest(
        way=setting.way,
        gpu=card.target.gpu.id,
        batch=found.largest,
        safe=card.tried.get(found.largest),
        beyond=None if found.refused is None else card.tried[found.refused],
        not_safe_below=tuple(
            sorted(
                each.batch for each in card.tried.values() if each.batch < found.largest and not each.is_safe
            )
        ),
        command=f"{again} --largest-batch{limit}",
    )


def _check(searched: _Searched, result: RunResult) -> None:
    """A table of another PyTorch says nothing of these runs."""
    there, here = searched.table.environment, result.environment
    if Environment() != here != there and (there.torch, there.cuda) != (here.torch, here.cuda):
        raise RequestError(
            f"expected the PyTorch of the table, {there.torch} with CUDA {there.cuda}, "
            f"found {here.torch} with CUDA {here.cuda}",
            hint="make the table again with this one",
        )
