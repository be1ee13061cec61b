"""A journal of several cards holds, of each, what a journal of this card alone would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.attribution.event_reader import Observation, read

CARDS = (0, 1, 2)
#: Which card something happened on, and what: allocations and frees of it, or a mark in between.
HAPPENED = st.lists(st.tuples(st.sampled_from(CARDS), st.integers(0, 3)), max_size=30)


def figures(allocations: int) -> dict[str, int]:
    return {"allocations": allocations, "allocated_peak": 512 * allocations, "retries": 0, "ooms": 0}


def entries(happened: list[tuple[int, int]], only: int | None) -> list[dict[str, Any]]:
    """As ``observe`` writes them; of one card alone where it is the only one that the process sees."""
    counts = dict.fromkeys(CARDS, 0)
    last = happened[-1][0] if happened else 0
    mine = last if only is None else only
    found: list[dict[str, Any]] = [{"kind": "start", "pid": 7, "card": mine}]

    def placed(card: int) -> dict[str, Any]:
        if only is not None:
            return figures(counts[only])
        others = {str(each): figures(n) for each, n in counts.items() if n and each != card}
        return {**figures(counts[card]), "card": card, **({"others": others} if others else {})}

    for card, allocations in happened:
        if allocations and only in (None, card):
            rows = [("a", 4096 * (100 * card + number), 512, -1) for number in range(allocations)]
            found.append(
                {"kind": "events", "rows": rows, "missing": 0, **({} if only == card else {"card": card})}
            )
        counts[card] += allocations
        found.append({"kind": "mark", "what": "backward+", "where": None, **placed(card)})
    return [*found, {"kind": "end", "how": "finished", **placed(last), "card": mine}]


def observed(folder: Path, lines: list[dict[str, Any]]) -> Observation:
    path = folder / "7-00000000.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    (found,) = read(folder)
    return found


@given(HAPPENED)
def test_each_card_has_its_own_events_and_marks_among_them(
    tmp_path_factory: Any, happened: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    together = observed(folder, entries(happened, None))
    used = {card for card, allocations in happened if allocations}
    assert {together.card, *together.others} == used | {happened[-1][0] if happened else 0}
    assert together.card not in together.others
    for card in used:
        each = together if card == together.card else together.others[card]
        alone = observed(folder, entries(happened, card))
        assert each.events == alone.events
        assert [(mark.what, mark.allocations) for mark in each.marks] == [
            (mark.what, mark.allocations) for mark in alone.marks
        ]
        assert each.last["allocated_peak"] == alone.last["allocated_peak"] == 512 * len(alone.events)
