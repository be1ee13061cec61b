"""What a search for the largest safe batch found, in words: shared by terminal, Markdown, CSV and site."""

from __future__ import annotations

from nanocheck.core.table import Largest, Setting, Table, Tried

#: Behind the name of a way that a searched table has, and that was not searched.
OF_THOSE_ASKED = " (of those asked)"


def sentences(found: Table) -> list[str]:
    """How it was searched, what was left out, and its proof; none, where nothing was."""
    largest = found.largest
    if largest is None:
        return []
    known = [each for each in largest.found if each.batch is not None]
    tried = sum(each is not None for pair in known for each in (pair.safe, pair.beyond))
    ways = len({each.way for each in largest.found})
    runs = largest.runs
    share = f" ({runs.total / tried:.1%} of the {tried:,} batches that decide)" if tried else ""
    lines = [
        f"Largest safe batch, searched up to {largest.most:,} for {ways} of {_ways(found)} ways to train: "
        f"{len(known):,} found, each safe where one more is not; {runs.total:,} runs{share} in "
        f"{largest.seconds:,.0f} s, {runs.on_card:,} of them on the card itself."
    ]
    lines += [f"Not searched: {way}: {why}." for way, why in largest.left_out.items()]
    proof = largest.proof
    if proof is not None:
        wrong = len({(each.setting, each.gpu) for each in proof.differences})
        lines.append(
            f"Proof: {proof.sample:,} of them, drawn at random (seed {proof.seed}), were run on their own "
            f"cards at the batch and at one more: {wrong:,} of the runs say otherwise ({proof.fit:,} fit and "
            f"were compared{')' if wrong else ', the same to the byte)'}."
        )
    if not largest.complete:
        lines.append("The search was interrupted: what has no largest batch was not reached.")
    return lines


def _ways(found: Table) -> int:
    return len({each.way for each in found.settings})


def batch(found: Largest, most: int) -> str:
    """``17``; ``0``: not even one; ``4,096+``: the search ended there; else why there is none, in a word."""
    if found.batch is None:
        return found.reason.split(":")[0].split(" ")[0] or "?"
    return f"{found.batch:,}+" if found.batch >= most else f"{found.batch:,}"


def beyond(tried: Tried | None) -> str:
    """What becomes of one sequence more; empty where that is not known."""
    if tried is None:
        return ""
    return "tight or oom" if tried.kind is None else tried.kind.value


def is_searched(found: Table, way: str) -> bool:
    return found.largest is not None and any(each.way == way for each in found.largest.found)


def shown(found: Table) -> dict[tuple[str, str], str]:
    """(way, card) -> its largest safe batch as a table shows it: searched where it was, else the largest of
    those asked; a dash where none is safe.
    """
    answers = {key: "-" if each is None else str(each) for key, each in found.largest_safe().items()}
    if found.largest is not None:
        for key, each in found.largest.batches().items():
            answers[key] = "-" if each.batch == 0 else batch(each, found.largest.most)
    return answers


def named(found: Table, setting: Setting, name: str) -> str:
    """A way's name, with a remark where others of the table were searched and it was not."""
    remark = found.largest is not None and not is_searched(found, setting.way)
    return name + OF_THOSE_ASKED * remark
