"""What one more card costs, once a step's kernels are recorded: seconds of `estimate` on every card.

    python benchmarks/one_more_card.py [FILE.json ...]

Without files, of the lists in `benchmarks/timing/lists`; with files, of what `nanocheck run --time` wrote
with `--json`. Two cores that others share, 27 November 2026: GPT-2 124M eager (513 kernels) 0.009 s a card,
with accumulation and compiled (924) 0.024 s; the slowest card of any 0.06 s.
"""

from __future__ import annotations

import gzip
import sys
import time
from pathlib import Path

import msgspec

from nanocheck.core.gpus import load_catalog
from nanocheck.core.kernels import KernelList
from nanocheck.report import run_file
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate

LISTS = Path(__file__).with_name("timing") / "lists"


def main(files: list[Path]) -> None:
    cards = [Card.of(gpu) for gpu in load_catalog().values()]
    estimate(*next((kernels, cards[0]) for _, kernels in lists(files)))  # constants are read once
    for name, kernels in lists(files):
        seconds = [slowest_of(kernels, card) for card in cards]
        count = sum(len(part.kernels) for part in kernels.parts)
        print(
            f"{name}: {count} kernels, {len(cards)} cards, {sum(seconds) / len(cards):.4f} s a card, ", end=""
        )
        print(f"the slowest {max(seconds):.4f} s")


def slowest_of(kernels: KernelList, card: Card) -> float:
    """Of three times, so that the figure is no lucky one."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        estimate(kernels, card)
        found.append(time.perf_counter() - began)
    return max(found)


def lists(files: list[Path]) -> list[tuple[str, KernelList]]:
    if not files:
        return [
            (each.name, msgspec.json.decode(gzip.decompress(each.read_bytes()), type=KernelList))
            for each in sorted(LISTS.glob("*.json.gz"))
        ]
    found = [(each.name, run_file.load(each).result.main.kernels) for each in files]
    return [(name, kernels) for name, kernels in found if kernels is not None]


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
