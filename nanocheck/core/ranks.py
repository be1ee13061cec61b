"""The ranks of a distributed run: which of them were run, what is taken of the others, how far they differ.

A rank that was left out (``--ranks 0,7``) is taken to need what the fullest of those that ran does. That is
known only of a symmetric training, and what speaks for one is what the first rank and the last one need: each
way of dividing a list into parts (ZeRO, FSDP, tensor parallel) gives the first the most and the last the
least, and the stages of a pipeline begin and end there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nanocheck.core.process_memory import Group, ProcessMemory
from nanocheck.core.result import RunResult
from nanocheck.core.units import mib


@dataclass(frozen=True, kw_only=True)
class Imbalance:
    """What the fullest rank needs more than the emptiest one, in bytes, and the group that has most of it.

    ``group`` is empty where the difference is in no tensor: in segments, or in what lies outside PyTorch.
    """

    fullest: ProcessMemory
    emptiest: ProcessMemory
    more_bytes: int
    group: str
    group_bytes: int


def ran(result: RunResult) -> tuple[int, ...]:
    """The numbers of the ranks that used a card, in order."""
    return tuple(sorted({each.rank for each in result.processes if each.rank is not None}))


def left_out(result: RunResult) -> tuple[int, ...]:
    """The ranks of which nothing was seen; () where a run has none."""
    there = ran(result)
    return tuple(sorted(set(range(result.world)) - set(there))) if there and result.world > 1 else ()


def by_rank(result: RunResult) -> list[ProcessMemory]:
    """What the table by rank and card shows, in its order: each rank where several ran, and what used several
    cards on each of them; [] where neither is so.
    """
    several = len(ran(result)) > 1
    shown = (each for each in result.processes if each.other_cards or (several and each.rank is not None))
    ordered = sorted(shown, key=lambda each: (each.rank is None, each.rank or 0))
    return [card for each in ordered for card in each.on_each_card]


def imbalance(processes: Iterable[ProcessMemory]) -> Imbalance | None:
    """Of the ranks among ``processes``; ``None`` where fewer than two ran, or all need the same."""
    ranks = sorted((each for each in processes if each.rank is not None), key=lambda each: each.rank or 0)
    if len({each.rank for each in ranks}) < 2:
        return None
    fullest, emptiest = max(ranks, key=need), min(ranks, key=need)
    more = need(fullest) - need(emptiest)
    if not more:
        return None
    low = _by_group(emptiest.groups)
    grown = {name: size - low.get(name, 0) for name, size in _by_group(fullest.groups).items()}
    group = max(grown, key=lambda name: grown[name], default="")
    found = grown.get(group, 0)
    return Imbalance(
        fullest=fullest,
        emptiest=emptiest,
        more_bytes=more,
        group=group if found > 0 else "",
        group_bytes=max(found, 0),
    )


def need(process: ProcessMemory) -> int:
    """Bytes of the card."""
    return process.process_bytes or process.reserved_bytes


def assumption(result: RunResult) -> str:
    """What is taken of the ranks that were left out; empty where none was."""
    others = left_out(result)
    if not others:
        return ""
    fullest = max((each for each in result.processes if each.rank is not None), key=need)
    one = len(others) == 1
    return (
        f"{spans(others)} of {result.world} {'was' if one else 'were'} not run: "
        f"{'it is' if one else 'they are'} taken to need what rank {fullest.rank} does"
    )


def doubt(result: RunResult, margin_bytes: int) -> str:
    """Why ranks that were left out may need more than those that ran; empty where nothing speaks for it.

    Args:
        margin_bytes: what ranks of a symmetric training differ by at the most.
    """
    others, there = left_out(result), ran(result)
    if not others:
        return ""
    missing = [each for each in (0, result.world - 1) if each not in there]
    if missing:
        return (
            f"{spans(others)} of {result.world} {'was' if len(others) == 1 else 'were'} not run, and nothing "
            f"shows that {spans(there)} {'needs' if len(there) == 1 else 'need'} the most "
            f"(--ranks 0,{result.world - 1})"
        )
    held = {_parameters(each) for each in result.processes if each.rank is not None}
    found = imbalance(result.processes)
    if len(held) > 1:
        return f"{spans(there)} hold different parameters, and {spans(others)} did not run (--ranks all)"
    if found is not None and found.more_bytes > margin_bytes:
        more = f"{mib(found.more_bytes)} MiB more than rank {found.emptiest.rank}"
        return f"rank {found.fullest.rank} needs {more}, and {spans(others)} did not run (--ranks all)"
    return ""


def spans(numbers: Sequence[int]) -> str:
    """``rank 3``, ``ranks 1 to 6``, ``ranks 0, 2 and 7``; ``numbers``: sorted, at least one."""
    runs: list[list[int]] = []
    for each in numbers:
        if runs and runs[-1][-1] == each - 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    words = [f"{run[0]} to {run[-1]}" if len(run) > 2 else " and ".join(map(str, run)) for run in runs]
    words = [word for run in words for word in run.split(" and ")]
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{'rank' if len(numbers) == 1 else 'ranks'} {text}"


def _by_group(groups: Iterable[Group]) -> dict[str, int]:
    return {each.group: each.bytes for each in groups}


def _parameters(process: ProcessMemory) -> int:
    """How many tensors of parameters it holds: a stage of a pipeline has others than the next one."""
    return sum(each.count for each in process.groups if each.group == "parameters")
