"""The advice as a terminal shows it: answers to paste first, then what was searched and what was not."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from nanocheck.core.device import available_bytes
from nanocheck.core.units import mib
from nanocheck.report.terminal import table

_INDENT = "    "
#: More rows of what was searched only show those that were run.
_ROWS = 12
#: Said under every list of answers, so that no predicted figure passes for a measured one.
PREDICTED = (
    "Step times are computed, not measured: operations / peak of the card + memory traffic / bandwidth "
    "(nanocheck/search/step_cost.py). They rank; there is no model of time yet."
)


def text(advice: Mapping[str, Any], width: int = 100) -> str:
    """The whole advice."""
    device = advice["device"]
    available = available_bytes(device)
    blocks = [_fill(_question(advice, available), width)]
    if not advice["answers"]:
        blocks.append(_fill(_nothing(advice), width))
    elif advice["tight"]:
        blocks.append(
            _fill(f"Nothing is safe with {mib(advice['margin_bytes'])} MiB to spare; this finished:", width)
        )
    blocks += [_answer(place, each, advice, width) for place, each in enumerate(advice["answers"], 1)]
    shown, hidden = _shown(advice["searched"])
    blocks.append(table([_row(row) for row in shown], left=("searched", "why")))
    more = f" {hidden} further ways were not run: nothing could be gained by them." if hidden else ""
    blocks.append(_fill(f"{advice['runs']} runs.{more} {PREDICTED}", width))
    if not advice["complete"]:
        blocks.append("interrupted: what was found until then; nothing is known of what is missing")
    return "\n\n".join(block for block in blocks if block)


def _question(advice: Mapping[str, Any], available: int) -> str:
    model, device = advice["model"], advice["device"]
    sizes = f"{model['n_layer']} layers, {model['n_head']} heads, {model['n_embd']} wide"
    reserve = (
        f", {mib(device['reserve_bytes'])} MiB used by other processes" if device["reserve_bytes"] else ""
    )
    return (
        f"{model['model']} ({sizes}, {model['parameters']:,} parameters), "
        f"{advice['tokens_per_step']:,} tokens per step in sequences of {model['block_size']:,}, "
        f"on {device['name']}, {device['platform']}{reserve}: PyTorch may reserve {mib(available)} MiB"
    )


def _nothing(advice: Mapping[str, Any]) -> str:
    nearest = advice["nearest"]
    if nearest is None:
        return "Nothing fits: nothing was run."
    return f"Nothing fits. The smallest that was run, {nearest['id']}: {nearest['sentence']}"


def _answer(place: int, answer: Mapping[str, Any], advice: Mapping[str, Any], width: int) -> str:
    run, predicted = answer["run"], answer["predicted"]
    best = advice["answers"][0]["predicted"]["tokens_per_second"]
    speed = "fastest" if place == 1 else f"{predicted['tokens_per_second'] / best:.0%} of the first's speed"
    tokens = f"{answer['tokens']:,} tokens"
    if answer["deviation"]:
        tokens += f" ({answer['deviation']:+.2%} of what was asked)"
    head = (
        f"{place}. {answer['name']}, {answer['batch']} x {answer['accumulation']} = {tokens}: "
        f"{speed}, {predicted['seconds']:.2f} s a step (computed)"
    )
    ran = f"{run['provenance']}: {mib(run['allocated_bytes'])} MiB allocated, {run['sentence']}"
    lines = [_fill(head, width), _fill(ran, width, _INDENT)]
    beyond = answer["beyond"]
    if beyond is not None:
        lines.append(
            _fill(f"batch {beyond['batch']} ({beyond['provenance']}): {beyond['sentence']}", width, _INDENT)
        )
    lines += [_fill(each, width, _INDENT) for each in (answer["note"], *answer["notes"]) if each]
    return "\n".join([*lines, "", *_paste(answer["paste"], width)])


def _paste(paste: Mapping[str, Any], width: int) -> list[str]:
    environment = " ".join(f"{name}={value}" for name, value in paste["environment"].items())
    lines = [_INDENT + each for each in paste["lines"]]
    lines += [_INDENT + environment] if environment else []
    lines += [_fill(f"the script must change: {each}", width, _INDENT) for each in paste["changes"]]
    return lines + [_fill(f"note: {each}", width, _INDENT) for each in paste["notes"]]


def _shown(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """The rows that fit a screen, those that were run before others, and how many are left out."""
    if len(rows) <= _ROWS:
        return list(rows), 0
    ran = [row for row in rows if row["runs"]]
    return ran, len(rows) - len(ran)


def _row(row: Mapping[str, Any]) -> dict[str, str]:
    found = row["batch"] is not None
    return {
        "searched": row["name"],
        "batch": f"{row['batch']} x {row['accumulation']}" if found else "-",
        "s a step": f"{row['seconds']:.2f}" if found else "",
        "runs": str(row["runs"]),
        "why": row["note"],
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
