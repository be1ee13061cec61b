"""A cell's command makes its configuration again, and what it advises is safe there."""

from __future__ import annotations

import io
import shlex

import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st
from table_world import World, card

from nanocheck.cli import build_parser
from nanocheck.cli.configuration import configuration
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.matrix import Entry
from nanocheck.core.step_fields import (
    ALLOCATORS,
    CHECKPOINTING,
    COMPILE_MODES,
    CYCLES,
    DTYPES,
    LOSSES,
    MODELS,
    OPTIMIZERS,
    SHARDINGS,
    UPDATES,
    WEIGHTS,
)
from nanocheck.core.table import How, Setting
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind
from nanocheck.report.table_csv import as_csv
from nanocheck.tables.instead import changes
from nanocheck.tables.making import command, make


def drawn(fields: dict[str, object]) -> StepConfig:
    shared = dict(zip(("ranks", "sharding"), fields.pop("shared", ()), strict=False))  # type: ignore[call-overload]
    try:
        return StepConfig(**fields, **shared)  # type: ignore[arg-type]
    except RequestError:
        assume(False)
        raise


fields = st.fixed_dictionaries(
    {"batch": st.integers(1, 64)},
    optional={
        "n_layer": st.integers(1, 48),
        "n_head": st.sampled_from([1, 2, 16]),
        "n_embd": st.sampled_from([64, 768, 1024]),
        "bias": st.booleans(),
        "accumulation": st.integers(1, 8),
        "dtype": st.sampled_from(DTYPES),
        "compile": st.sampled_from(COMPILE_MODES),
        "checkpointing": st.sampled_from(CHECKPOINTING),
        "loss": st.sampled_from(LOSSES),
        "allocator": st.sampled_from(ALLOCATORS),
        "cycle": st.sampled_from(CYCLES),
        "seed": st.integers(0, 5000),
        "model": st.sampled_from(MODELS),
        "block_size": st.sampled_from([64, 1024, 2048]),
        "vocab_size": st.sampled_from([256, 50304, 65536]),
        "optimizer": st.sampled_from(OPTIMIZERS),
        "weights": st.sampled_from(WEIGHTS),
        "update": st.sampled_from(UPDATES),
        "window": st.sampled_from(["L", "SSSL"]),
        "memory_budget": st.integers(1, 100),
        "shared": st.sampled_from([(8, each) if each != "none" else (1, each) for each in SHARDINGS]),
    },
)


@given(fields.map(drawn))
def test_the_command_of_a_cell_is_that_configuration(config: StepConfig) -> None:
    target = card("card", 46, 24_000)
    words = shlex.split(command(config, target, DEFAULT_MARGIN_BYTES))
    arguments = build_parser().parse_args(words[1:])
    assert configuration(arguments.set) == config
    assert arguments.gpu == "card"
    assert arguments.run_all


def entries(*configs: StepConfig) -> list[Entry]:
    return [Entry(config=each, group="a group", why="a reason") for each in configs]


def need(config: StepConfig, sms: int) -> int:
    return 2_000 + (500 if config.checkpointing == "block" else 1_100) * config.batch


def test_what_would_fit_is_safe_on_that_card_and_of_the_same_model() -> None:
    ways = [StepConfig(batch=batch, checkpointing=how) for batch in (2, 4, 8) for how in ("none", "block")]
    other = StepConfig(n_layer=2, batch=8, checkpointing="block")
    targets = [card("small", 46, 6_500), card("large", 46, 24_000)]
    table, _ = make(entries(*ways, other), targets, World(need))
    cells = {(each.setting, each.gpu): each for each in table.cells}
    settings = {each.id: each for each in table.settings}
    for cell in table.cells:
        if cell.verdict.kind is Kind.SAFE:
            assert cell.instead == ()
        for each in cell.instead:
            assert cells[each, cell.gpu].verdict.kind is Kind.SAFE
            assert settings[each].config.n_layer == settings[cell.setting].config.n_layer
            assert settings[each].config.batch <= settings[cell.setting].config.batch
    eight = cells[StepConfig(batch=8).id, "small"]
    assert eight.verdict.kind is Kind.OOM
    nearest = settings[eight.instead[0]]
    assert changes(settings[eight.setting], nearest) == ["batch = 4", "checkpointing = block"] or changes(
        settings[eight.setting], nearest
    ) == ["batch = 2"]


def test_ranks_are_offered_where_the_machine_has_the_cards() -> None:
    """To a setting of fewer ranks; and to its own number always."""
    alone, shared = StepConfig(batch=8), StepConfig(batch=8, ranks=8, sharding="fsdp2")
    other = StepConfig(batch=8, ranks=8, sharding="ddp")

    def asks(config: StepConfig, sms: int) -> int:
        return 2_000 if config.sharding == "fsdp2" else 20_000

    def offered(cards: int) -> dict[str, tuple[str, ...]]:
        target = card("small", 46, 9_000)
        table, _ = make(entries(alone, shared, other), [target], World(asks), cards=cards)
        return {cell.setting: cell.instead for cell in table.cells}

    assert offered(1) == {alone.id: (), shared.id: (), other.id: (shared.id,)}
    assert offered(8) == {alone.id: (shared.id,), shared.id: (), other.id: (shared.id,)}


def test_what_does_not_fit_is_told_by_what_it_asks_for() -> None:
    config = StepConfig(batch=8)
    targets = [card("small", 46, 6_500), card("large", 46, 24_000)]
    table, _ = make(entries(config), targets, World(need))
    small, large = table.cells
    assert small.verdict.kind is Kind.OOM
    assert (small.allocated_bytes, small.reserved_bytes) == (large.allocated_bytes, large.reserved_bytes)
    assert small.how is large.how is How.DERIVED
    assert 0 < table.share_run <= 1


def test_the_largest_batch_ends_at_the_first_that_is_not_safe() -> None:
    ways = [StepConfig(batch=batch) for batch in (1, 2, 4, 16)]
    targets = [card("tiny", 46, 2_500), card("small", 46, 9_500), card("large", 46, 60_000)]
    table, _ = make(entries(*ways), targets, World(need))
    way = Setting(id="", group="", why="", config=ways[0], parameters=0).way
    assert table.largest_safe() == {(way, "tiny"): None, (way, "small"): 4, (way, "large"): 16}


def test_a_command_names_what_is_not_usual() -> None:
    target = card("card", 46, 24_000)
    words = command(StepConfig(batch=2, dtype="fp32"), target, 2**30)
    assert words == "nanocheck table --gpu card --run-all --margin 1073741824 --set batch=2 --set dtype=fp32"


def test_a_spreadsheet_runs_nothing_of_a_card() -> None:
    target = card("=HYPERLINK(1)", 46, 24_000)
    table, _ = make(entries(StepConfig(batch=2)), [target], World(need))
    (row,) = pd.read_csv(io.StringIO(as_csv(table))).to_dict("records")
    assert row["card"] == row["gpu"] == "'=HYPERLINK(1)"
    assert row["peak reserved bytes"] == table.cells[0].reserved_bytes
