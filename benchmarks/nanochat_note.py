"""The nanochat note answered: both releases at four depths on one RTX 4070, what fits and how long it takes.

    python benchmarks/nanochat_note.py --run        # finds, runs and records; hours of compiling on two cores
    python benchmarks/nanochat_note.py --run 2025-d32
    python benchmarks/nanochat_note.py              # the table of docs/plan.md from what was recorded

For each model the methods below are tried in their order, until one is safe at some batch; the largest batch
that divides a step of 524,288 tokens is run, and one step recorded: ``nanochat_note/NAME.json.gz``.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from nanocheck.core import memory_formulas
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.plan import Goal, PlanRow, Prices, Span
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, JudgedRun, Kind
from nanocheck.measuring.configurations import Measurement
from nanocheck.planning.rows import rows
from nanocheck.process.jobs import Deadlines
from nanocheck.search.training_variants import method

HERE = Path(__file__).parent
LISTS = HERE / "nanochat_note"
PAGE = HERE.parent / "docs" / "plan.md"
GPU = "rtx4070"
STEP_TOKENS = 524_288

BATCHES = (16, 8, 4, 2, 1)
DEPTHS = (12, 20, 26, 32)
#: What each adds to the one before. The last is eager: a compiled backward hands over all gradients at once.
METHODS = {
    "as released": "compile+expandable",
    "blocks computed again, loss in parts": "compile+expandable+checkpoint-block+chunked-loss",
    "... 8-bit AdamW for Muon": "compile+expandable+checkpoint-block+chunked-loss+8bit",
    "... weights and gradients in bf16": "compile+expandable+checkpoint-block+chunked-loss+8bit+weights-bf16",
    "... each gradient used at once": (
        "eager+expandable+checkpoint-block+chunked-loss+8bit+weights-bf16+update-in-backward"
    ),
}
#: Of the note's reader: nothing is built in.
PRICES = Prices(kwh=0.15)
_PATIENCE = Deadlines(default=3600.0)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One model's answer: the first of ``METHODS`` that is safe, its run and its step."""

    method: str
    run: JudgedRun


def models() -> dict[str, StepConfig]:
    """Name -> model; batch and methods are found."""
    return {
        f"{release}-d{depth}": StepConfig.from_dict(
            {"model": f"nanochat-{release}", "n_layer": depth, "batch": 1}
        )
        for release in ("2025", "2026")
        for depth in DEPTHS
    }


def tokens_of(config: StepConfig) -> int:
    """That the release trains on.

    October 2025 (``base_train.py``): 20 a parameter. Mid-2026 (``--target-param-data-ratio``): 12 for each of
    the blocks' and the head's weights.
    """
    if config.model == "nanochat-2025":
        return 20 * config.parameters
    return 12 * (12 * config.n_layer * config.n_embd**2 + config.vocab_size * config.n_embd)


def find(name: str, model: StepConfig, target: Target) -> tuple[str, StepConfig]:
    """The first method that is safe, with the largest batch that is a power of two.

    Eager runs take seconds and compiled ones a minute: the compiled batch is looked for beside the eager one.

    Raises:
        LookupError: none is.
    """
    for title, words in METHODS.items():
        config = _with(model, words)
        if memory_formulas.static_bytes(config) > target.device.surely_available_bytes:
            print(f"{name}: {title}: weights, gradients and state alone are too many", flush=True)
            continue
        with Measurement(target, workers=1, deadlines=_PATIENCE) as measurement:
            eager = _largest(replace(config, compile="off"), BATCHES, measurement)
            near = (
                BATCHES
                if config.compile == "off"
                else [each for each in BATCHES if each <= 2 * max(eager, 1)]
            )
            batch = eager if config.compile == "off" else _largest(config, near, measurement)
        print(f"{name}: {title}: largest safe batch {batch}, eager {eager}", flush=True)
        if batch:
            accumulation = 1 if config.update == "backward" else STEP_TOKENS // (batch * config.block_size)
            return title, replace(config, batch=batch, accumulation=accumulation)
    raise LookupError(f"{name}: expected a method that fits, found none")


def _with(model: StepConfig, words: str) -> StepConfig:
    """Batch 1; two micro-batches where there can be, since the second needs more."""
    changes = method(words)
    return replace(model, accumulation=1 if changes.get("update") == "backward" else 2, **changes)


def _largest(config: StepConfig, batches: Sequence[int], measurement: Measurement) -> int:
    """Of these, largest first, that is safe; 0: none."""
    for batch in batches:
        run = JudgedRun.of(measurement.submit(replace(config, batch=batch)).result(), DEFAULT_MARGIN_BYTES)
        if run.verdict.kind is Kind.SAFE:
            return batch
    return 0


def record(name: str, model: StepConfig) -> None:
    """Find, run, record, write."""
    target = Target(kind="virtual", gpu=find_gpu(GPU))
    method, config = find(name, model, target)
    with Measurement(target, workers=1, deadlines=_PATIENCE) as measurement:
        run = JudgedRun.of(measurement.submit(config, record=True).result(), DEFAULT_MARGIN_BYTES)
    LISTS.mkdir(exist_ok=True)
    path = LISTS / f"{name}.json.gz"
    path.write_bytes(gzip.compress(msgspec.json.encode(Recorded(method=method, run=run)), mtime=0))
    print(f"{name}: {config.id}: {run.verdict.kind}, {path.stat().st_size:,} bytes", flush=True)


def is_recorded(name: str) -> bool:
    """Whether it fits somehow, and was recorded."""
    return (LISTS / f"{name}.json.gz").is_file()


def load(name: str) -> Recorded:
    """What was recorded of a model."""
    return msgspec.json.decode(gzip.decompress((LISTS / f"{name}.json.gz").read_bytes()), type=Recorded)


def planned(name: str, model: StepConfig) -> tuple[Recorded, PlanRow]:
    """The whole training of a model, by the model of time as it is now."""
    found = load(name)
    (row,) = rows(found.run, find_gpu(GPU), goal=Goal(tokens=float(tokens_of(model))), prices=PRICES)
    return found, row


def table() -> str:
    """Markdown."""
    lines = [
        "| model | parameters | tokens | what fits 12 GB | batch | headroom MiB | tokens/s | days | 80 % | "
        "days at 100 % of the peak | kWh | electricity |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, model in models().items():
        if not is_recorded(name):
            shown = (
                f"{model.model} d{model.n_layer}",
                f"{model.parameters:,}",
                f"{tokens_of(model) / 1e9:.1f} B",
            )
            lines.append("| " + " | ".join((*shown, "nothing: the smallest runs out", *["-"] * 8)) + " |")
            continue
        found, row = planned(name, model)
        step, whole = row.step_time, row.horizon
        assert step is not None
        assert whole is not None
        assert whole.electricity is not None
        assert found.run.result.config is not None
        assert found.run.verdict.headroom_bytes is not None
        config = found.run.result.config
        cells = (
            f"{model.model} d{model.n_layer}",
            f"{model.parameters:,}",
            f"{tokens_of(model) / 1e9:.1f} B",
            found.method,
            str(config.batch),
            f"{found.run.verdict.headroom_bytes / 2**20:,.0f}",
            f"{_tokens_a_step(config) / step.seconds:,.0f}",
            _days(whole.seconds.estimate),
            _around(whole.seconds),
            _days(whole.at_peak_seconds),
            f"{whole.kwh.estimate:,.0f}",
            f"{whole.electricity.estimate:,.0f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _tokens_a_step(config: StepConfig) -> int:
    return config.batch * config.accumulation * config.block_size


def _days(seconds: float) -> str:
    days = seconds / 86400
    return f"{days:,.0f}" if days >= 10 else f"{days:.1f}"


def _around(span: Span) -> str:
    if span.low is None or span.high is None:
        return "-"
    return f"{_days(span.low)} to {_days(span.high)}"


def page(text: str) -> str:
    """The page with the table as it is now."""
    marked = re.compile(r"(<!-- nanochat note -->\n).*?(<!-- nanochat note end -->)", re.DOTALL)
    return marked.sub(lambda match: match[1] + table() + match[2], text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    if arguments.run is None:
        PAGE.write_text(page(PAGE.read_text()))
        print(table())
        return
    for name, model in models().items():
        if not arguments.run or name in arguments.run:
            try:
                record(name, model)
            except LookupError as error:
                print(error, flush=True)


if __name__ == "__main__":
    main()
