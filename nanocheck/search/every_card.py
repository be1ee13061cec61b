"""``--gpu all``: the same command on every card of the catalog, one run each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from nanocheck import __version__
from nanocheck.core.errors import NanocheckError
from nanocheck.core.gpus import Gpu, load_catalog
from nanocheck.core.units import mib
from nanocheck.measure.background_run import Again, run_all
from nanocheck.measure.request import Request
from nanocheck.report import terminal

SCHEMA = 1
AT_ONCE = 2
#: Lists of cards in the result, and the verdicts that go into each.
_LISTS = {"fits": ("safe",), "tight": ("tight",), "oom": ("oom",)}
#: If the first so many cards give no answer, the others are not tried: it is not the card.
_HOPELESS = 3


def on_every_card(request: Request, show: Callable[[int, int, list[str]], None]) -> dict[str, Any]:
    """One answer for each card that exists on the asked platform, the largest first.

    Args:
        show: called with finished runs, all runs, and the names of what runs.

    Raises:
        NanocheckError: the command gives no answer on any of the first cards.
    """
    catalog = load_catalog(request.gpus).values()
    cards = sorted(
        (gpu for gpu in catalog if request.platform in gpu.usable_bytes and _is_large_enough(gpu, request)),
        key=lambda gpu: (-gpu.usable_bytes[request.platform], gpu.id),
    )
    starts = [(gpu.id, lambda gpu=gpu: Again(request, gpu=gpu.id)) for gpu in cards]
    answers: dict[str, dict[str, Any]] = {}
    complete = False
    with contextlib.suppress(KeyboardInterrupt):  # what was found until then is told
        for name, answer in run_all(starts, AT_ONCE, lambda done, names: show(done, len(cards), names)):
            answers[name] = answer
            if len(answers) == _HOPELESS and not any(map(_list, answers.values())):
                raise NanocheckError(
                    f"expected verdicts, found none on the first {_HOPELESS} cards: "
                    f"{answer['verdict']['sentence']}",
                    hint=f"look at it on one card: nanocheck run --gpu {name} -- ...",
                )
        complete = True
    rows = [_row(answers[gpu.id]) for gpu in cards if gpu.id in answers]
    lists = {
        title: [row["gpu"] for row in rows if row["verdict"] in kinds] for title, kinds in _LISTS.items()
    }
    return {
        "schema": SCHEMA,
        "nanocheck": __version__,
        "command": request.command,
        "platform": request.platform,
        "reserve_bytes": request.reserve_bytes,
        "complete": complete,
        "cards": rows,
        **lists,
        "no_answer": [row["gpu"] for row in rows if not any(row["gpu"] in each for each in lists.values())],
        "not_run": sorted(gpu.id for gpu in catalog if gpu.id not in answers),
    }


def _is_large_enough(gpu: Gpu, request: Request) -> bool:
    """Whether anything is left on it beside what others hold."""
    return request.reserve_bytes < gpu.usable_bytes[request.platform] - gpu.context_bytes


def _list(answer: dict[str, Any]) -> str | None:
    kind = answer["verdict"]["kind"]
    return next((title for title, kinds in _LISTS.items() if kind in kinds), None)


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    device, verdict = answer["device"], answer["verdict"]
    peak = answer["processes"][0]["peak"] if answer["processes"] else {}
    return {
        "gpu": device["gpu"],
        "name": device["name"],
        "capacity_bytes": device["capacity_bytes"],
        "verdict": verdict["kind"],
        "sentence": verdict["sentence"],
        "headroom_bytes": verdict["headroom_bytes"],
        "allocated_bytes": peak.get("allocated_bytes"),
        "reserved_bytes": peak.get("reserved_bytes"),
        "provenance": answer["provenance"],
    }


def text(found: dict[str, Any]) -> str:
    """The result as a terminal shows it."""
    titles = {
        "fits": "fits on",
        "tight": "tight on",
        "oom": "out of memory on",
        "no_answer": "no answer on",
        "not_run": "not run (interrupted, not on this platform, or nothing free)",
    }
    lines = [f"{title}: {', '.join(found[key])}" for key, title in titles.items() if found[key]]
    rows = [
        {
            "card": row["gpu"],
            "memory MiB": mib(row["capacity_bytes"]),
            "verdict": row["verdict"],
            "allocated MiB": _size(row["allocated_bytes"]),
            "reserved MiB": _size(row["reserved_bytes"]),
            "headroom MiB": _size(row["headroom_bytes"]),
            "provenance": row["provenance"],
        }
        for row in found["cards"]
    ]
    return "\n".join([*lines, "", terminal.table(rows, left=("card", "verdict", "provenance"))])


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else mib(size_bytes)
