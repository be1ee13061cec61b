"""Which cards ranks that were left out would have used, and what they would have taken there.

A launcher gives a process the number of its rank on its node, and scripts choose the card by it. The ranks
that ran show how: each a card of its own, in their order; in turn (``local_rank % cards``); so many
neighbours on each; or all on one. Where none of these says where they were, or two of them and differ in how
many a card would have, nothing is known of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from nanocheck.core import ranks
from nanocheck.core.process_memory import ProcessMemory
from nanocheck.core.result import RunResult


def stand_ins(result: RunResult) -> tuple[ProcessMemory, ...]:
    """A process for each rank that was left out and matters to the verdict: it would share its card, or its
    card is of a kind that no rank that ran had.

    Each has the bytes of the fullest rank that ran. () where the first or the last rank did not run, or the
    ranks' cards are not known: then ``ranks.doubt`` or ``doubt`` speaks.
    """
    places = cards_of_absent(result)
    if not places:
        return ()
    there = [each for each in result.processes if each.rank is not None]
    fullest = max(there, key=ranks.need)
    on_card = Counter([each.card for each in there] + list(places.values()))
    kinds = {result.device_of(each.card) for each in there}
    return tuple(
        ProcessMemory(
            rank=rank,
            card=card,
            process_bytes=ranks.need(fullest),
            nccl_least_bytes=fullest.nccl_least_bytes,
            nccl_most_bytes=fullest.nccl_most_bytes,
            began_s=fullest.began_s,
            ended_s=fullest.ended_s,
        )
        for rank, card in places.items()
        if on_card[card] > 1 or result.device_of(card) not in kinds
    )


def is_absent(process: ProcessMemory) -> bool:
    """Whether it is a stand-in: a process that ran has a number of its own."""
    return process.rank is not None and process.pid is None


def doubt(result: RunResult) -> str:
    """Why the cards of ranks that were left out are not known; empty where they are, or none was left out."""
    others = ranks.left_out(result)
    if not others or not _ends_ran(result) or cards_of_absent(result):
        return ""
    said = ", ".join(f"{rank} on card {card}" for rank, card in _seen(result).items())
    return f"which cards {ranks.spans(others)} would use is not known (rank {said}; --ranks all)"


def cards_of_absent(result: RunResult) -> Mapping[int, int]:
    """Rank -> card of the run, of those that were left out; empty where that is not known."""
    others = ranks.left_out(result)
    if not others or not _ends_ran(result):
        return {}
    seen = _seen(result)
    cards = sum(each.cards for each in result.machine) or 1
    # Nodes are alike, and the last rank is on the last one.
    nodes = seen[result.world - 1] // cards + 1
    per_node, rest = divmod(result.world, nodes)
    if rest:
        return {}
    local = {rank: (rank % per_node, card - rank // per_node * cards) for rank, card in seen.items()}
    fitting = [
        rule
        for rule in _rules(per_node, cards, first=local[0][1])
        if all(rule(at) == card for at, card in local.values())
    ]
    shares = [Counter(map(rule, range(per_node))) for rule in fitting]
    if not fitting or any(each != shares[0] for each in shares):
        return {}
    return {rank: rank // per_node * cards + fitting[0](rank % per_node) for rank in others}


def _rules(per_node: int, cards: int, first: int) -> list[Callable[[int], int]]:
    """From the rank on its node to its card there; ``first``: the first rank's."""
    rules: list[Callable[[int], int]] = []
    if first + per_node <= cards:
        rules.append(lambda at: first + at)
    each = -(-per_node // cards)
    return [*rules, lambda at: at % cards, lambda at: at // each, lambda _: first]


def _ends_ran(result: RunResult) -> bool:
    return {0, result.world - 1} <= set(ranks.ran(result))


def _seen(result: RunResult) -> dict[int, int]:
    there = sorted((each.rank, each.card) for each in result.processes if each.rank is not None)
    return dict(there)
