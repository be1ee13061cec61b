"""Tables that no run produced, for the tests of everything that only reads tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from made_up import ENVIRONMENT
from msgspec.structs import replace as changed

from nanocheck.core.config import StepConfig
from nanocheck.core.gpus import Gpu, load_catalog
from nanocheck.core.result import Provenance
from nanocheck.core.table import (
    Cell,
    CellTime,
    How,
    Largest,
    LargestBatches,
    Proof,
    Runs,
    Setting,
    Table,
    TableCard,
    Tried,
)
from nanocheck.core.units import MIB, mib
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind, Verdict

#: Bytes a parameter, and a token of one layer and channel; no more than the right order of magnitude.
_STATIC, _ACTIVATION, _LOGITS = 16, 34, 12


def table_card(card: Gpu, /, **changes: Any) -> TableCard:
    least = card.usable_bytes.get("linux", next(iter(card.usable_bytes.values())))
    most = card.usable_most_bytes.get("linux", least)
    made = TableCard(
        gpu=card.id,
        name=card.name,
        capability=".".join(map(str, card.capability)),
        sms=card.sms,
        nominal_bytes=card.nominal_bytes,
        usable_bytes=least,
        usable_most_bytes=most,
        usable_source=card.sources.get("linux_usable_mib", "computed: nominal less what such cards keep"),
        context_bytes=card.context_bytes,
        context_most_bytes=card.context_most_bytes,
    )
    return changed(made, **changes)


def setting(config: StepConfig, **changes: Any) -> Setting:
    made = Setting(
        id=config.id,
        group="a group",
        why="to have something to read",
        config=config,
        parameters=config.parameters,
    )
    return changed(made, **changes)


def cell(of: Setting, card: TableCard, **changes: Any) -> Cell:
    """A cell whose sizes follow from the configuration by a rough formula, and its verdict from those."""
    config = of.config
    tokens = config.batch * config.block_size
    step_tokens = tokens * config.accumulation
    activations = tokens * config.n_embd * config.n_layer * _ACTIVATION
    if config.checkpointing == "block":
        activations //= config.n_layer
    if config.compile != "off":
        activations = activations * 6 // 10
    allocated = of.parameters * _STATIC + activations + tokens * config.vocab_size * _LOGITS
    reserved = allocated + allocated // 10 // (2 * MIB) * (2 * MIB)
    headroom = card.usable_bytes - card.context_most_bytes - reserved
    kind = Kind.OOM if headroom < 0 else Kind.SAFE if headroom >= DEFAULT_MARGIN_BYTES else Kind.TIGHT
    verdict = Verdict(
        kind=kind,
        process_bytes=reserved + card.context_bytes,
        headroom_bytes=None if kind is Kind.OOM else headroom,
        sentence=f"{mib(reserved)} MiB reserved of {mib(card.usable_bytes - card.context_bytes)} available",
    )
    seconds = of.parameters * step_tokens * 6 / (card.sms * 5e11)
    time = CellTime(
        seconds=seconds,
        low=seconds * 0.8,
        high=seconds * 1.3,
        tokens_per_second=step_tokens / seconds,
        mfu=0.37,
        decided_by="card",
        recorded_on=card.gpu,
    )
    made = Cell(
        setting=of.id,
        gpu=card.gpu,
        verdict=verdict,
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        how=How.RUN if kind is Kind.TIGHT else How.DERIVED,
        run_on=card.gpu if kind is Kind.TIGHT else "h100",
        attention="flash",
        provenance=Provenance.VIRTUAL,
        command=f"nanocheck table --gpu {shlex.quote(card.gpu)} --run-all"
        f" --set batch={config.batch} --set n_layer={config.n_layer}",
        time=None if kind is Kind.OOM else time,
    )
    return changed(made, **changes)


def table(settings: Iterable[Setting], cards: Iterable[TableCard], **changes: Any) -> Table:
    """Every setting on every card, with what would make it fit."""
    settings, cards = tuple(settings), tuple(cards)
    cells = [cell(each, card) for each in settings for card in cards]
    safe: dict[str, list[str]] = {}
    for each in cells:
        if each.verdict.kind is Kind.SAFE:
            safe.setdefault(each.gpu, []).append(each.setting)
    cells = [
        each if each.verdict.kind is Kind.SAFE else changed(each, instead=tuple(safe.get(each.gpu, ())[:3]))
        for each in cells
    ]
    made = Table(
        environment=ENVIRONMENT,
        date="2026-01-02",
        platform="linux",
        margin_bytes=DEFAULT_MARGIN_BYTES,
        reserve_bytes=0,
        settings=settings,
        cards=cards,
        cells=tuple(cells),
        runs=Runs(with_room=len(settings) * 2, on_card=sum(each.how is How.RUN for each in cells)),
        proof=Proof(sample=100, fit=64, seed=15),
        seconds=12.0,
    )
    return changed(made, **changes)


def searched(found: Table, left_out: Iterable[str] = (), most: int = 64) -> Table:
    """The same with the largest safe batches by the same formula, but of the ways that are left out."""
    out = set(left_out)
    ways = [each for each in {one.way: one for one in found.settings}.values() if each.way not in out]
    return changed(
        found,
        largest=LargestBatches(
            most=most,
            found=tuple(_largest(way, card, most) for way in ways for card in found.cards),
            left_out=dict.fromkeys(out, "a reason"),
            runs=Runs(with_room=7),
            seconds=3.0,
            proof=Proof(sample=5, fit=6, seed=1),
        ),
    )


def _largest(way: Setting, card: TableCard, most: int) -> Largest:
    cells = [cell(setting(replace(way.config, batch=each)), card) for each in range(1, most + 2)]
    largest = next((at for at, each in enumerate(cells) if each.verdict.kind is not Kind.SAFE), most)
    safe, beyond = (
        _tried(cells[each - 1], each) if 0 < each <= most else None for each in (largest, largest + 1)
    )
    return Largest(
        way=way.way,
        gpu=card.gpu,
        batch=min(largest, most),
        safe=safe,
        beyond=beyond,
        command=f"{cells[0].command} --largest-batch",
    )


def _tried(found: Cell, batch: int) -> Tried:
    return Tried(
        batch=batch,
        kind=found.verdict.kind,
        headroom_bytes=found.verdict.headroom_bytes,
        allocated_bytes=found.allocated_bytes,
        reserved_bytes=found.reserved_bytes,
        how=How.DERIVED,
        run_on="h100",
    )


def some_settings() -> list[Setting]:
    """Two models; batches, precisions and methods that differ."""
    small = StepConfig(dtype="bf16", accumulation=8)
    ways = [
        small,
        replace(small, compile="default"),
        replace(small, dtype="fp32"),
        replace(small, checkpointing="block", optimizer="adamw-8bit"),
    ]
    configs = [replace(way, batch=batch) for way in ways for batch in (1, 4, 8, 11, 16, 32)]
    large = StepConfig(n_layer=24, n_head=16, n_embd=1024, block_size=512, loss="chunked")
    configs += [replace(large, batch=batch) for batch in (2, 8)]
    return [setting(each) for each in configs]


def some_cards() -> list[TableCard]:
    catalog = load_catalog()
    return [table_card(catalog[each]) for each in ("rtx4070", "t4", "rtx3090", "h100")]


def large(settings: int = 40, cards: int = 65) -> Table:
    """As large as the tables that are published."""
    catalog = list(load_catalog().values())
    made = [
        table_card(
            gpu := catalog[place % len(catalog)],
            gpu=gpu.id if place < len(catalog) else f"{gpu.id}-{place // len(catalog)}",
        )
        for place in range(cards)
    ]
    ways: Sequence[StepConfig] = [
        StepConfig(n_layer=layers, n_head=heads, n_embd=width, accumulation=8, **method)
        for layers, heads, width in ((12, 12, 768), (24, 16, 1024))
        for method in ({}, {"compile": "default"}, {"dtype": "fp16"}, {"checkpointing": "block"})
    ]
    configs = [replace(way, batch=batch) for way in ways for batch in (1, 2, 4, 8, 16)]
    return table([setting(each) for each in configs[:settings]], made)
