"""Batch x accumulation in three number formats against fp64, and the nanoGPT note's 12 x 40, as tables.

python benchmarks/equivalence.py
"""

from __future__ import annotations

from nanocheck.numerics.cases import DTYPES, FACTORS, SEQUENCES, table_oracle, table_plan
from nanocheck.numerics.tiers import Distance, distance
from nanocheck.numerics.training.runs import Runs


def main() -> None:
    fewer = SEQUENCES * 480 // 512  # the nanoGPT note: 16 x 32 = 512 sequences, 12 x 40 = 480
    with Runs("cpu") as runs:
        plans = {(dtype, batch): table_plan(batch, dtype) for dtype in DTYPES for batch in FACTORS}
        runs.start([table_oracle(), table_oracle(sequences=fewer), *plans.values()])
        whole = runs.trace(table_oracle())
        print(
            f"measured, real arithmetic: {len(whole.steps)} steps of {SEQUENCES} sequences, largest distance"
        )
        print("from fp64 over the steps; parameters: fraction of their norm, after the last step.\n")
        print("| batch x accumulation | format | loss (nats) | gradient norm | parameters |")
        print("|---|---|---|---|---|")
        for (dtype, batch), plan in plans.items():
            print(_row(f"{batch} x {SEQUENCES // batch}", dtype, distance(runs.trace(plan), whole)))
        other = distance(runs.trace(table_oracle(sequences=fewer)), whole)
        print(_row(f"{fewer} sequences instead of {SEQUENCES}", "fp64", other))
    print(f"\n12 x 40 = 480 sequences are {1 - 480 / 512:.2%} fewer than 16 x 32 = 512.")


def _row(what: str, dtype: str, found: Distance) -> str:
    return f"| {what} | {dtype} | {found.loss:.1e} | {found.grad_norm:.1e} | {found.parameters:.1e} |"


if __name__ == "__main__":
    main()
