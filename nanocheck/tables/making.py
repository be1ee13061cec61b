"""A table's cells from what the runs said."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.matrix import Entry
from nanocheck.core.result import Environment, RunResult
from nanocheck.core.table import Cell, CellTime, How, Runs, Setting, Table, TableCard
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind
from nanocheck.tables.fewest_fields import fewest_fields
from nanocheck.tables.filling import Filled, Known, Submits, fill
from nanocheck.tables.instead import instead
from nanocheck.timing.of_run import step_time


def make(
    entries: Sequence[Entry],
    targets: Sequence[Target],
    runner: Submits,
    *,
    margin_bytes: int = DEFAULT_MARGIN_BYTES,
    time_too: bool = False,
    share: bool = True,
    own_cards: Mapping[str, Sequence[str]] | None = None,
    cards: int = 1,
) -> tuple[Table, Filled]:
    """Every configuration on every card, and what the runs found, for ``proving.prove``.

    Args:
        targets: of one platform, with one reserve.
        time_too: model a step's time, from kernels recorded once for each compute capability.
        share: False runs every cell on its own card.
        own_cards: by id, the words that name a card which the catalog has not, or has with other figures.
        cards: that the machine has: what would fit may use them.

    Raises:
        MachineError: nothing can be started here.
    """
    began = time.monotonic()
    filled = fill(
        [each.config for each in entries],
        targets,
        runner,
        margin_bytes=margin_bytes,
        record=time_too,
        share=share,
    )
    settings = tuple(
        Setting(
            id=each.id,
            group=each.group,
            why=each.why,
            config=each.config,
            parameters=each.config.parameters,
        )
        for each in entries
    )
    cells = [
        _cell(setting, target, known, filled, command(setting.config, target, margin_bytes, own_cards))
        for setting in settings
        for target in targets
        if (known := filled.cells.get((setting.id, target.gpu.id))) is not None
    ]
    table = Table(
        environment=_environment(filled),
        date=date.today().isoformat(),
        platform=targets[0].platform,
        margin_bytes=margin_bytes,
        reserve_bytes=targets[0].reserve_bytes,
        settings=settings,
        cards=tuple(map(card_of, targets)),
        cells=tuple(_with_instead(cells, settings, cards)),
        runs=Runs(with_room=filled.with_room, on_card=filled.on_card),
        seconds=time.monotonic() - began,
        complete=filled.complete,
    )
    return table, filled


def command(
    config: StepConfig,
    target: Target,
    margin_bytes: int,
    own_cards: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What one types to run this cell on its own card."""
    gpu = target.gpu.id
    words = ["nanocheck", "table", *(own_cards or {}).get(gpu, ["--gpu", gpu]), "--run-all"]
    if target.platform != "linux":
        words += ["--platform", target.platform]
    if target.reserve_bytes:
        words += ["--reserve", str(target.reserve_bytes)]
    if margin_bytes != DEFAULT_MARGIN_BYTES:
        words += ["--margin", str(margin_bytes)]
    for name, value in fewest_fields(config).items():
        words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return shlex.join(words)


def _cell(setting: Setting, target: Target, known: Known, filled: Filled, again: str) -> Cell:
    # What does not fit is told by what it asks for with room: its own peaks end where it died.
    shown = known.own if known.own is not None and known.verdict.fits else known.roomy
    return Cell(
        setting=setting.id,
        gpu=target.gpu.id,
        verdict=known.verdict,
        allocated_bytes=shown.main.allocated_bytes,
        reserved_bytes=shown.main.reserved_bytes,
        attention=shown.main.attention,
        how=How.RUN if known.own is not None else How.DERIVED,
        run_on=known.run_on,
        provenance=shown.provenance,
        command=again,
        time=_time(filled.recorded.get((setting.id, target.gpu.capability)), target)
        if known.verdict.fits
        else None,
    )


def _time(recorded: RunResult | None, target: Target) -> CellTime | None:
    found = None if recorded is None else step_time(recorded, target.gpu, host=False)
    if recorded is None or found is None:
        return None
    return CellTime(
        seconds=found.seconds,
        low=None if found.interval is None else found.interval.low,
        high=None if found.interval is None else found.interval.high,
        tokens_per_second=found.tokens_per_second,
        mfu=found.mfu_exact,
        decided_by=found.decided_by,
        recorded_on=recorded.device.gpu,
        provenance=found.provenance,
    )


def _with_instead(cells: Sequence[Cell], settings: Sequence[Setting], cards: int) -> list[Cell]:
    by_id = {each.id: each for each in settings}
    safe: dict[str, list[Setting]] = {}
    for cell in cells:
        if cell.verdict.kind is Kind.SAFE:
            safe.setdefault(cell.gpu, []).append(by_id[cell.setting])
    return [
        cell
        if cell.verdict.kind is Kind.SAFE
        else msgspec.structs.replace(
            cell,
            instead=tuple(each.id for each in instead(by_id[cell.setting], safe.get(cell.gpu, []), cards)),
        )
        for cell in cells
    ]


def card_of(target: Target) -> TableCard:
    """A card as a table has it."""
    gpu, device = target.gpu, target.device
    return TableCard(
        gpu=gpu.id,
        name=gpu.name,
        capability=device.capability,
        sms=gpu.sms,
        nominal_bytes=gpu.nominal_bytes,
        usable_bytes=device.sure_capacity_bytes,
        usable_most_bytes=device.capacity_bytes,
        usable_source=gpu.sources.get(f"{target.platform}_usable_mib", ""),
        context_bytes=gpu.context_bytes,
        context_most_bytes=gpu.context_most_bytes,
    )


def _environment(filled: Filled) -> Environment:
    """Of the runs; they share one interpreter. Who did not come to an answer may not have said all of it."""
    runs = sorted((each.roomy for each in filled.cells.values()), key=lambda each: not each.outcome.is_answer)
    return runs[0].environment if runs else Environment()
