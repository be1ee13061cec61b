"""The advice as a terminal shows it: answers to paste first, then what was searched and what was not."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.units import mib
from nanocheck.report import caveats
from nanocheck.report.advice_data import AdviceFile, Recommended, Searched
from nanocheck.report.blocks import Block, Prose, prose, provenance, stack, verbatim, verdict_sentence
from nanocheck.report.script_settings import Settings
from nanocheck.report.terminal_table import table

_INDENT = 4
#: More rows of what was searched only show those that were run.
_ROWS = 12


def render(advice: AdviceFile) -> list[Block]:
    """The whole advice."""
    blocks: list[Block] = [_question(advice)]
    if not advice.recommendations:
        blocks.append(_nothing(advice))
    elif advice.tight:
        blocks.append(prose(f"Nothing is safe with {mib(advice.margin_bytes)} MiB to spare; this finished:"))
    for place, each in enumerate(advice.recommendations, 1):
        blocks += [_answer(place, each, advice), _settings(each.settings)]
    shown, hidden = _shown(advice.searched)
    blocks.append(table([_row(row) for row in shown], left=["searched", "by", "why"]))
    more = f" {hidden} further ways were not run: nothing could be gained by them." if hidden else ""
    blocks.append(prose(f"{advice.runs} runs.{more} {caveats.PREDICTED}"))
    if not advice.complete:
        blocks.append(prose("interrupted: what was found until then; nothing is known of what is missing"))
    return blocks


def _question(advice: AdviceFile) -> Prose:
    model, device = advice.model, advice.device
    sizes = f"{model.n_layer} layers, {model.n_head} heads, {model.n_embd} wide"
    reserve = f", {mib(device.reserve_bytes)} MiB used by other processes" if device.reserve_bytes else ""
    return prose(
        f"{model.model} ({sizes}, {model.parameters:,} parameters), "
        f"{advice.tokens_per_step:,} tokens per step in sequences of {model.block_size:,}, "
        f"on {_machine(advice)}, {device.platform}{reserve}: "
        f"PyTorch may reserve {mib(device.available_bytes)} MiB{' of each' if advice.cards > 1 else ''}"
    )


def _machine(advice: AdviceFile) -> str:
    return advice.device.name if advice.cards == 1 else f"{advice.cards} x {advice.device.name}"


def _nothing(advice: AdviceFile) -> Prose:
    nearest = advice.nearest
    if nearest is None:
        return prose("Nothing fits: nothing was run.")
    return prose(
        f"Nothing fits. The smallest that was run, {nearest.id}: ", verdict_sentence(nearest.verdict)
    )


def _answer(place: int, found: Recommended, advice: AdviceFile) -> Block:
    run, beyond = found.run, found.beyond
    first = advice.recommendations[0]
    speed = (
        "fastest" if place == 1 else f"{found.tokens_per_second / first.tokens_per_second:.0%} of the first's"
    )
    if found.time_provenance is not first.time_provenance:
        speed = "not ranked with those before: its step could not be recorded"
    tokens = f"{found.tokens:,} tokens"
    if found.deviation:
        tokens += f" ({found.deviation:+.2%} of what was asked)"
    ranks = f" x {advice.cards} ranks" if advice.cards > 1 else ""
    head = (
        f"{place}. {found.name}, {found.batch} x {found.accumulation}{ranks} = {tokens}: {speed}, "
        f"{seconds(found)}"
    )
    size = f": {mib(run.allocated_bytes)} MiB allocated, "
    lines = [
        prose(head, style="bold"),
        prose(provenance(run.provenance), size, verdict_sentence(run.verdict), indent=_INDENT),
    ]
    if beyond is not None:
        where = f"batch {beyond.batch} ("
        said = verdict_sentence(beyond.verdict)
        lines.append(prose(where, provenance(beyond.provenance), "): ", said, indent=_INDENT))
    return stack(*lines, *(prose(each, indent=_INDENT) for each in (found.note, *found.notes) if each))


def seconds(found: Recommended) -> str:
    """``9.34 s a step (modelled, the card alone; 80% within 8.90 to 15.20), 56,100 tokens/s``."""
    more = found.time_provenance.value
    if found.time is not None:
        span = found.time.interval
        more += ", the card alone"
        if found.host_may_decide:
            more += f"; this host took {found.host_s:.2f} s to issue it, beside other runs, and may decide"
        elif span is not None:
            more += f"; {span.level:.0%} within {span.low:.2f} to {span.high:.2f}"
    return f"{found.seconds:.2f} s a step ({more}), {found.tokens_per_second:,.0f} tokens/s"


def _settings(settings: Settings) -> Block:
    """Lines to paste, as they are; then what cannot be pasted."""
    environment = " ".join(f"{name}={value}" for name, value in settings.environment.items())
    return stack(
        *(verbatim(each, _INDENT) for each in (*settings.lines, environment) if each),
        *(prose(f"the script must change: {each}", indent=_INDENT) for each in settings.changes),
        *(prose(f"note: {each}", indent=_INDENT) for each in settings.notes),
    )


def _shown(rows: Sequence[Searched]) -> tuple[list[Searched], int]:
    """The rows that fit a screen, those that were run before others, and how many are left out."""
    if len(rows) <= _ROWS:
        return list(rows), 0
    ran = [row for row in rows if row.runs]
    return ran, len(rows) - len(ran)


def _row(row: Searched) -> dict[str, str]:
    found = row.batch is not None
    return {
        "searched": row.name,
        "batch": f"{row.batch} x {row.accumulation}" if found else "-",
        "s a step": f"{row.seconds:.2f}" if found else "",
        "by": row.time_provenance.value if row.time_provenance else "",
        "runs": str(row.runs),
        "why": row.note,
    }
