"""How near each optimizer comes to the entropy floor of the language, as a Markdown table.

    python benchmarks/language.py                     # the runs of suites/loss/test_language.py
    python benchmarks/language.py --times 1 4 16      # and with 4 and 16 times the steps

Every row is measured, with real arithmetic, on the CPU unless there is a GPU. Floor, bigram and unigram are
computed. The distance is that from the source's own loss on the same fresh text, with its standard error;
that text is longer than the suite's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from tabulate import tabulate

from nanocheck.numerics.language.approach import ON_A_GPU, Approach, plans, why_not
from nanocheck.numerics.training.runs import Runs

#: Batches of fresh text: 65,536 targets.
HELD_OUT = 512


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, nargs="+", default=[1], help="multiples of the suite's steps")
    parser.add_argument("--workers", type=int, default=2, help="runs at once")
    arguments = parser.parse_args()
    asked = [plan for plan in plans() if why_not(plan) is None]
    wanted = [
        replace(plan, steps=times * plan.steps, held_out=HELD_OUT)
        for plan in asked
        for times in arguments.times
    ]
    with Runs(workers=arguments.workers) as runs:
        runs.start(wanted)
        found = [Approach.of(plan, runs.trace(plan)) for plan in wanted]
    print(tabulate([each.row() for each in found], headers="keys", tablefmt="github", disable_numparse=True))
    reasons = {plan.config.optimizer: why_not(plan) for plan in plans() if why_not(plan)} | ON_A_GPU
    print()
    for optimizer, reason in reasons.items():
        print(f"- {optimizer} is not there: {reason}.")


if __name__ == "__main__":
    main()
