"""The advice as a terminal shows it: answers to paste first, then what was searched and what was not."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from nanocheck.core.units import mib
from nanocheck.report import caveats
from nanocheck.report.advice_data import AdviceFile, Recommended, Searched
from nanocheck.report.script_settings import Settings
from nanocheck.report.terminal import table

_INDENT = "    "
#: More rows of what was searched only show those that were run.
_ROWS = 12


def text(advice: AdviceFile, width: int = 100) -> str:
    """The whole advice."""
    available = advice.device.available_bytes
    blocks = [_fill(_question(advice, available), width)]
    if not advice.recommendations:
        blocks.append(_fill(_nothing(advice), width))
    elif advice.tight:
        blocks.append(
            _fill(f"Nothing is safe with {mib(advice.margin_bytes)} MiB to spare; this finished:", width)
        )
    blocks += [_answer(place, each, advice, width) for place, each in enumerate(advice.recommendations, 1)]
    shown, hidden = _shown(advice.searched)
    blocks.append(table([_row(row) for row in shown], left=("searched", "why")))
    more = f" {hidden} further ways were not run: nothing could be gained by them." if hidden else ""
    blocks.append(_fill(f"{advice.runs} runs.{more} {caveats.PREDICTED}", width))
    if not advice.complete:
        blocks.append("interrupted: what was found until then; nothing is known of what is missing")
    return "\n\n".join(block for block in blocks if block)


def _question(advice: AdviceFile, available: int) -> str:
    model, device = advice.model, advice.device
    sizes = f"{model.n_layer} layers, {model.n_head} heads, {model.n_embd} wide"
    reserve = f", {mib(device.reserve_bytes)} MiB used by other processes" if device.reserve_bytes else ""
    return (
        f"{model.model} ({sizes}, {model.parameters:,} parameters), "
        f"{advice.tokens_per_step:,} tokens per step in sequences of {model.block_size:,}, "
        f"on {device.name}, {device.platform}{reserve}: PyTorch may reserve {mib(available)} MiB"
    )


def _nothing(advice: AdviceFile) -> str:
    nearest = advice.nearest
    if nearest is None:
        return "Nothing fits: nothing was run."
    return f"Nothing fits. The smallest that was run, {nearest.id}: {nearest.verdict}"


def _answer(place: int, found: Recommended, advice: AdviceFile, width: int) -> str:
    run, predicted = found.run, found.predicted
    best = advice.recommendations[0].predicted.tokens_per_second
    speed = "fastest" if place == 1 else f"{predicted.tokens_per_second / best:.0%} of the first's speed"
    tokens = f"{found.tokens:,} tokens"
    if found.deviation:
        tokens += f" ({found.deviation:+.2%} of what was asked)"
    head = (
        f"{place}. {found.name}, {found.batch} x {found.accumulation} = {tokens}: "
        f"{speed}, {predicted.seconds:.2f} s a step (computed)"
    )
    ran = f"{run.provenance}: {mib(run.allocated_bytes)} MiB allocated, {run.verdict}"
    lines = [_fill(head, width), _fill(ran, width, _INDENT)]
    beyond = found.beyond
    if beyond is not None:
        lines.append(_fill(f"batch {beyond.batch} ({beyond.provenance}): {beyond.verdict}", width, _INDENT))
    lines += [_fill(each, width, _INDENT) for each in (found.note, *found.notes) if each]
    return "\n".join([*lines, "", *_settings(found.settings, width)])


def _settings(settings: Settings, width: int) -> list[str]:
    environment = " ".join(f"{name}={value}" for name, value in settings.environment.items())
    lines = [_INDENT + each for each in settings.lines]
    lines += [_INDENT + environment] if environment else []
    lines += [_fill(f"the script must change: {each}", width, _INDENT) for each in settings.changes]
    return lines + [_fill(f"note: {each}", width, _INDENT) for each in settings.notes]


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
        "runs": str(row.runs),
        "why": row.note,
    }


def _fill(line: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        line,
        max(40, width),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
