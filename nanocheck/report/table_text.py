"""A compatibility table on a terminal: how it was made, and for each setting which cards hold it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from nanocheck.core.table import Cell, How, Largest, Setting, Table, TableCard
from nanocheck.core.units import gib, mib
from nanocheck.core.verdict import Kind
from nanocheck.report import largest_words
from nanocheck.report.blocks import Block, Words, prose, stack, verdict, words
from nanocheck.report.table_frame import mebibytes, setting_name
from nanocheck.report.terminal_table import table

#: A table of so few cards is shown cell by cell.
_FEW = 4


def render(found: Table) -> list[Block]:
    """The whole answer; with more than a few cards, a line for each setting."""
    head = [prose(each) for each in how_it_was_made(found)]
    few = len(found.cards) <= _FEW
    cells, timed = found.by_setting(), any(each.time for each in found.cells)
    cards = {each.gpu: each for each in found.cards}
    rows = [
        _cell_rows(each, cells[each.id], timed) if few else [_summary(each, cells[each.id], cards)]
        for each in found.settings
    ]
    shown = table([row for each in rows for row in each], left=["setting", "safe from"], whole=["card"])
    blocks: list[Block] = [stack(*head), shown]
    if largest := _largest(found, few):
        blocks.append(table(largest, left=["way", "one more", "largest safe batch"], whole=["card"]))
    for proof in (found.proof, None if found.largest is None else found.largest.proof):
        blocks += [
            prose(f"{each.setting} on {each.gpu}: derived {each.derived}; run: {each.run}", hanging=2)
            for each in (() if proof is None else proof.differences)
        ]
    odd = [each for each in found.cells if not each.verdict.is_answer]
    alike: dict[tuple[Kind, str], list[Cell]] = {}
    for each in odd:
        alike.setdefault((each.verdict.kind, each.verdict.sentence), []).append(each)
    for (kind, sentence), which in alike.items():
        names = f"{which[0].setting} on {which[0].gpu}" + (f" and {len(which) - 1} more" * (len(which) > 1))
        blocks.append(prose(f"{names}: ", words(verdict(kind), f": {sentence}"), hanging=2))
    return blocks


def _largest(found: Table, few: bool) -> list[dict[str, Words]]:
    """A line for each card and way; with more than a few cards, one for each way, with its ends."""
    if found.largest is None:
        return []
    names = {each.way: setting_name(each) for each in found.settings}
    most, by_way = found.largest.most, dict[str, list[Largest]]()
    for each in found.largest.found:
        by_way.setdefault(each.way, []).append(each)
    if few:
        return [
            {
                "card": each.gpu,
                "way": names[each.way],
                "largest safe batch": largest_words.batch(each, most),
                "headroom MiB": mebibytes(each.safe.headroom_bytes if each.safe else None),
                "one more": largest_words.beyond(each.beyond) or "-",
            }
            for those in by_way.values()
            for each in those
        ]
    return [
        {
            "way": names[way],
            "cards": str(sum(bool(each.batch) for each in those)),
            "largest safe batch": _ends([each for each in those if each.batch], most),
        }
        for way, those in by_way.items()
    ]


def _ends(those: list[Largest], most: int) -> str:
    if not those:
        return "-"
    ends = [pick(those, key=lambda each: each.batch or 0) for pick in (min, max)]
    return " to ".join(f"{largest_words.batch(each, most)} ({each.gpu})" for each in ends)


def how_it_was_made(found: Table) -> list[str]:
    """Sentences about its size, its runs, its proof and its environment."""
    counts = Counter(each.verdict.kind.value for each in found.cells)
    runs = found.runs
    kinds = f" ({', '.join(f'{count:,} {kind}' for kind, count in counts.items())})" if counts else ""
    lines = [
        f"{len(found.settings)} settings x {len(found.cards)} cards, {found.platform}: "
        f"{len(found.cells):,} cells{kinds}, safe with {mib(found.margin_bytes)} MiB to spare."
    ]
    answered = {each.provenance.value for each in found.cells if each.verdict.is_answer}
    provenances = " and ".join(sorted(answered)) or "nothing ran"
    derived = sum(each.how is How.DERIVED for each in found.cells)
    lines.append(
        f"{provenances}: {runs.total:,} runs ({found.share_run:.1%} of the cells) in {found.seconds:,.0f} s; "
        f"{derived:,} cells are derived from {runs.with_room:,} runs on cards with room, "
        f"{runs.on_card:,} ran on the card itself."
    )
    if found.proof is not None:
        wrong = len(found.proof.differences)
        lines.append(
            f"Proof: {found.proof.sample:,} derived cells, drawn at random (seed {found.proof.seed}), were "
            f"run on their own cards: {found.proof.sample - wrong:,} the same ({found.proof.fit:,} fit"
            f"{'; see those that are not' if wrong else ', and are the same to the byte'})."
        )
    computed = sum(each.usable_source.startswith("computed") for each in found.cards)
    if computed:
        lines.append(
            f"Of {computed} of the cards nobody published what the driver leaves usable; theirs is computed."
        )
    if not found.complete:
        lines.append("Interrupted: what is not in the table was not run.")
    where = found.environment
    lines += largest_words.sentences(found)
    lines.append(f"torch {where.torch}, CUDA {where.cuda}, nanocheck {where.nanocheck}, {found.date}.")
    return lines


def _summary(setting: Setting, cells: Sequence[Cell], cards: Mapping[str, TableCard]) -> dict[str, Words]:
    counts = Counter(each.verdict.kind for each in cells)
    safe = [cards[each.gpu] for each in cells if each.verdict.kind is Kind.SAFE]
    reserved = sorted({each.reserved_bytes for each in cells if each.verdict.is_answer})
    return {
        "setting": f"{setting_name(setting)}, batch {setting.config.batch}",
        "safe": str(counts[Kind.SAFE]),
        "tight": str(counts[Kind.TIGHT]),
        "oom": str(counts[Kind.OOM]),
        "reserved MiB": _span(reserved),
        "safe from": _smallest(safe),
    }


def _span(sizes: list[int]) -> str:
    if not sizes:
        return "-"
    low, high = mebibytes(sizes[0]), mebibytes(sizes[-1])
    return low if low == high else f"{low} to {high}"


def _smallest(safe: list[TableCard]) -> str:
    if not safe:
        return "-"
    card = min(safe, key=lambda each: (each.usable_bytes, each.name))
    return f"{card.gpu} ({gib(card.usable_bytes)})"


def _cell_rows(setting: Setting, cells: Sequence[Cell], timed: bool) -> list[dict[str, Words]]:
    return [
        {
            "card": cell.gpu,
            "setting": f"{setting_name(setting)}, batch {setting.config.batch}",
            "verdict": verdict(cell.verdict.kind),
            "headroom MiB": mebibytes(cell.verdict.headroom_bytes),
            "allocated": mebibytes(cell.allocated_bytes),
            "reserved": mebibytes(cell.reserved_bytes),
            **(
                {"ms a step": "-" if cell.time is None else f"{cell.time.seconds * 1e3:,.0f}"}
                if timed
                else {}
            ),
        }
        for cell in cells
    ]
