"""A compatibility table as a data frame: a row for each cell, every column that people look for."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nanocheck.core.table import Cell, Largest, Setting, Table, TableCard
from nanocheck.core.units import MIB
from nanocheck.report import largest_words
from nanocheck.report.largest_batch_table import ALLOCATOR_WORDS, COMPILE_WORDS
from nanocheck.report.markdown_cells import frame_of
from nanocheck.report.report_file import model_name
from nanocheck.tables.fewest_fields import fewest_fields
from nanocheck.tables.instead import changes

#: Fields that a name has no words of its own for.
_SELDOM = ("bias", "cycle", "seed", "window", "memory_budget")


def frame(table: Table) -> pd.DataFrame:
    """One row for each cell, in the table's order; bytes, seconds, and ``None`` for what is not known."""
    settings = {each.id: each for each in table.settings}
    cards = {each.gpu: each for each in table.cards}
    largest = table.largest_safe()
    searched = {} if table.largest is None else table.largest.batches()
    rows = [
        {
            **_of_card(cards[cell.gpu]),
            **_of_setting(settings[cell.setting]),
            **_of_cell(cell),
            "what would fit": would_fit(cell, settings),
            "largest safe batch of the table": largest[settings[cell.setting].way, cell.gpu],
            **_of_search(searched.get((settings[cell.setting].way, cell.gpu))),
            "torch": table.environment.torch,
            "platform": table.platform,
            "date": table.date,
            "command": cell.command,
        }
        for cell in table.cells
    ]
    return frame_of(rows)


def would_fit(cell: Cell, settings: Mapping[str, Setting]) -> str:
    """What to change, such as ``batch = 4; or checkpointing = block``; empty where it is safe, or nothing of
    the table is.
    """
    here = settings[cell.setting]
    ways = [", ".join(changes(here, settings[each])) for each in cell.instead]
    return "; or ".join(ways)


def setting_name(setting: Setting) -> str:
    """Model and way in words, without batch and accumulation."""
    config = setting.config
    fewest = fewest_fields(config)
    words = [model_name_of(setting), config.dtype, COMPILE_WORDS[config.compile]]
    words += [f"{config.checkpointing} checkpointing"] if config.checkpointing != "none" else []
    words += ["chunked loss"] if config.loss != "full" else []
    words += [f"{config.weights} weights"] if config.weights != "fp32" else []
    words += ["update in the backward"] if config.update != "step" else []
    words += [config.optimizer] if config.optimizer != "adamw-fused" else []
    words += [ALLOCATOR_WORDS[config.allocator]] if config.allocator != "default" else []
    words += [f"{config.sharding} of {config.ranks} ranks"] if config.ranks > 1 else []
    words += [f"{name} {fewest[name]}".removesuffix(" True") for name in _SELDOM if name in fewest]
    return ", ".join(words)


def model_name_of(setting: Setting) -> str:
    """Of a GPT-2, its shape and parameters; of the others, their name and depth, and parameters."""
    config = setting.config
    if config.model == "gpt2":
        return model_name(config)
    tokens = f", {config.block_size} tokens"
    return f"{config.model} d{config.n_layer} ({setting.parameters / 1e6:,.0f} M parameters){tokens}"


def _of_card(card: TableCard) -> dict[str, object]:
    return {
        "card": card.name,
        "gpu": card.gpu,
        "capability": card.capability,
        "nominal bytes": card.nominal_bytes,
        "usable bytes": card.usable_bytes,
        "usable source": card.usable_source,
    }


def _of_setting(setting: Setting) -> dict[str, object]:
    config = setting.config
    return {
        "model": model_name_of(setting),
        "parameters": setting.parameters,
        "precision": config.dtype,
        "batch": config.batch,
        "length": config.block_size,
        "accumulation": config.accumulation,
        "optimizer": config.optimizer,
        "checkpointing": config.checkpointing,
        "compile": COMPILE_WORDS[config.compile],
        "weights": config.weights,
        "loss": config.loss,
        "allocator": ALLOCATOR_WORDS[config.allocator],
        "ranks": config.ranks,
        "sharding": config.sharding,
        "setting": setting.id,
    }


def _of_cell(cell: Cell) -> dict[str, object]:
    time = cell.time
    return {
        "attention": cell.attention,
        "verdict": cell.verdict.kind.value,
        "headroom bytes": cell.verdict.headroom_bytes,
        "peak allocated bytes": cell.allocated_bytes,
        "peak reserved bytes": cell.reserved_bytes,
        "process bytes": cell.verdict.process_bytes,
        "provenance": cell.provenance.value,
        "how": cell.how.value,
        "run on": cell.run_on,
        "step seconds": None if time is None else time.seconds,
        "step seconds, low": None if time is None else time.low,
        "step seconds, high": None if time is None else time.high,
        "tokens/s": None if time is None else time.tokens_per_second,
        "time provenance": None if time is None else time.provenance.value,
        "sentence": cell.verdict.sentence,
    }


def _of_search(found: Largest | None) -> dict[str, object]:
    """Empty where the way was not searched on the card, or without an answer."""
    safe = None if found is None else found.safe
    return {
        "largest safe batch": None if found is None else found.batch,
        "its headroom bytes": None if safe is None else safe.headroom_bytes,
        "its reserved bytes": None if safe is None else safe.reserved_bytes,
        "one more": None if found is None else largest_words.beyond(found.beyond),
    }


def mebibytes(value: int | None) -> str:
    """Whole MiB; a dash where there is none."""
    return "-" if value is None else f"{value / MIB:,.0f}"
