"""Are the largest safe batches what runs on the cards themselves say, at that batch and one more?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from nanocheck.core.device import Target
from nanocheck.core.result import RunResult
from nanocheck.core.table import Difference, How, LargestBatches, Proof, Setting, Tried
from nanocheck.core.units import mib
from nanocheck.core.verdict import Kind, Verdict, classify
from nanocheck.search.scheduler import Search, drive
from nanocheck.tables.filling import Ask, Submits


def prove_largest(
    found: LargestBatches,
    ways: Sequence[Setting],
    targets: Sequence[Target],
    runner: Submits,
    *,
    sample: int,
    seed: int,
    margin_bytes: int,
) -> Proof:
    """Run so many (way, card), drawn at random of those that were derived, on their own cards.

    ``Proof.fit`` counts runs whose figures were compared: not those of which nothing was said but that they
    are not safe.

    Args:
        ways: a setting of each way, whatever its batch.

    Raises:
        MachineError: nothing can be started here.
        KeyboardInterrupt: it was interrupted.
    """
    by_way, by_gpu = {each.way: each for each in ways}, {each.gpu.id: each for each in targets}
    pairs = {
        (each.way, each.gpu): derived
        for each in found.found
        if each.way in by_way and each.gpu in by_gpu and (derived := _derived(each.safe, each.beyond))
    }
    drawn = random.Random(seed).sample(sorted(pairs), min(sample, len(pairs)))
    differences, fit = [], 0

    def one(key: tuple[str, str]) -> Search[Ask, RunResult]:
        nonlocal fit
        way, target = by_way[key[0]], by_gpu[key[1]]
        configs = [replace(way.config, batch=each.batch) for each in pairs[key]]
        runs = yield [Ask(config, target) for config in configs]
        for tried, config, run in zip(pairs[key], configs, runs, strict=True):
            verdict = classify(run, margin_bytes)
            fit += verdict.fits and tried.kind is not None
            if not _agree(tried, verdict, run):
                differences.append(
                    Difference(setting=config.id, gpu=key[1], derived=_words(tried), run=_said(verdict, run))
                )

    drive(runner, [one(key) for key in drawn])
    return Proof(sample=len(drawn), fit=fit, seed=seed, differences=tuple(differences))


def _derived(*tried: Tried | None) -> list[Tried]:
    return [each for each in tried if each is not None and each.how is How.DERIVED]


def _agree(tried: Tried, verdict: Verdict, run: RunResult) -> bool:
    """To the byte, where it is said what the run does; of others that they are not safe."""
    if tried.kind is None:
        return verdict.kind in (Kind.TIGHT, Kind.OOM)
    if tried.kind is Kind.OOM:  # where it died is not derived
        return verdict.kind is Kind.OOM
    figures = (run.main.allocated_bytes, run.main.reserved_bytes, verdict.headroom_bytes)
    return verdict.kind is tried.kind and figures == (
        tried.allocated_bytes, tried.reserved_bytes, tried.headroom_bytes
    )  # fmt: skip


def _words(tried: Tried) -> str:
    kind = tried.kind.value if tried.kind is not None else "tight or oom"
    return f"{kind}; {tried.allocated_bytes:,} bytes allocated, {tried.reserved_bytes:,} reserved"


def _said(verdict: Verdict, run: RunResult) -> str:
    free = "" if verdict.headroom_bytes is None else f", {mib(verdict.headroom_bytes)} MiB of headroom"
    main = run.main
    return f"{verdict.kind}{free}; {main.allocated_bytes:,} bytes allocated, {main.reserved_bytes:,} reserved"
