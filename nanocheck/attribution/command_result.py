"""The answer of a run as plain data: what the terminal, the page, JSON and every search read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from nanocheck import __version__
from nanocheck.attribution.event_reader import Observation, read
from nanocheck.attribution.notes import notes_of
from nanocheck.attribution.out_of_memory import describe_oom
from nanocheck.attribution.process_figures import Figures
from nanocheck.core.device import Device
from nanocheck.core.units import mib
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, classify_reserved

SCHEMA = 1


class Ended(Protocol):
    """How the command ended; see ``nanocheck.process.launch``."""

    @property
    def how(self) -> str: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def seconds(self) -> float: ...


def answer(
    folder: Path,
    *,
    command: Sequence[str],
    device: Device,
    ended: Ended,
    margin_bytes: int = DEFAULT_MARGIN_BYTES,
) -> dict[str, Any]:
    """The answer of one run; sizes are bytes.

    Args:
        folder: where the processes wrote their journals.
        command: what was run.
        device: the card that was asked for.
        ended: how it ended.
        margin_bytes: what must stay free to be called safe.
    """
    seen = read(folder)
    processes = sorted(
        (describe(each, device) for each in seen), key=lambda each: -each["peak"]["reserved_bytes"]
    )
    # Provenance is what a process found out about itself, never what was asked for.
    virtual = any(each.start.get("virtual") for each in seen) or (not seen and device.kind == "virtual")
    how = "answered" if ended.how == "finished" and _answered(seen) else ended.how
    result = {
        "schema": SCHEMA,
        "nanocheck": __version__,
        "command": list(command),
        "provenance": "virtual" if virtual else "measured",
        "device": device.to_dict(),
        "environment": _environment(seen),
        "ended": how,
        "exit_code": ended.exit_code,
        "seconds": round(ended.seconds, 1),
        "processes": processes,
    }
    result["verdict"] = _verdict(seen, processes, device, how, ended.exit_code, margin_bytes)
    result["notes"] = notes_of(seen, processes, how, virtual)
    return result


def describe(seen: Observation, device: Device) -> dict[str, Any]:
    """One process."""
    figures = Figures.of(seen)
    peak = figures.peak()
    counted = seen.last_statistics()
    used = (seen.end or {}).get("virtual", {}).get("peak_used")
    peak["process_bytes"] = used or peak["reserved_bytes"] + device.gpu.context_bytes
    at, widest = figures.peak_event, figures.reserved_event
    levels = figures.replay.levels
    return {
        "pid": seen.pid,
        "command": seen.start.get("command", []),
        "steps": sum(mark.what == "step" for mark in seen.marks),
        "retries": counted.get("retries", 0),
        "ooms": max(counted.get("ooms", 0), len(seen.ooms)),
        "peak": peak,
        "at": _moment(figures, at),
        "phases": figures.phases(),
        "groups": figures.table(at, peak["allocated_bytes"]),
        "largest": [] if at is None else figures.largest(at),
        "fragmentation": None
        if widest is None
        else {
            "reserved_bytes": levels[widest][1],
            "allocated_bytes": levels[widest][0],
            "inactive_bytes": levels[widest][1] - levels[widest][0],
        },
        "oom": describe_oom(figures),
        "unexplained_events": figures.replay.surprises,
        "timeline": figures.timeline(),
    }


def _moment(figures: Figures, event: int | None) -> dict[str, Any] | None:
    band = None if event is None else figures.band_at(event)
    if event is None or band is None:
        return None
    stack = figures.seen.events[event][3]
    place = figures.places.of_stack(stack)
    if place.where is None:
        place = figures.places.of_frame(band.where)
    return {"phase": band.phase, "step": band.step, "where": place.where, "line": place.line}


def _environment(seen: Sequence[Observation]) -> dict[str, Any]:
    first = seen[0].start if seen else {}
    names = {"torch": "torch", "cuda": "cuda", "python": "python", "virtual": "virtual_gpu"}
    found = {shown: first.get(name) for name, shown in names.items()}
    facts: dict[str, Any] = next(
        (each.end["virtual"] for each in seen if each.end and each.end.get("virtual")), {}
    )
    return {**found, "attention": facts.get("attention"), "allocator": first.get("allocator")}


def _answered(seen: Sequence[Observation]) -> bool:
    return any(each.end is not None and each.end.get("how") == "answered" for each in seen)


def _verdict(
    seen: Sequence[Observation],
    processes: Sequence[dict[str, Any]],
    device: Device,
    how: str,
    exit_code: int,
    margin_bytes: int,
) -> dict[str, Any]:
    available = device.available_bytes
    # Several processes share the card: each brings its own context.
    others = sum(each["peak"]["process_bytes"] for each in processes[1:])
    reserved = processes[0]["peak"]["reserved_bytes"] if processes else 0
    headroom = available - others - reserved

    def verdict(kind: str, sentence: str, headroom_bytes: int | None = None) -> dict[str, Any]:
        return {"kind": kind, "sentence": sentence, "headroom_bytes": headroom_bytes}

    fatal = next((each for each in processes if each["oom"] and not each["oom"]["caught"]), None)
    if fatal is not None and how != "answered":
        return verdict("oom", _oom_sentence(fatal["oom"]))
    so_far = f"; until then {mib(reserved)} MiB reserved" if processes else ""
    if how in ("timeout", "interrupted"):
        words = {"timeout": "it reached the time limit", "interrupted": "it was interrupted"}
        return verdict(how, f"{how}: no answer, {words[how]}{so_far}")
    if how in ("failed", "killed") or (exit_code and how != "answered"):
        return verdict("crashed", f"crashed: {_why(seen, exit_code)}{so_far}")
    if not processes:
        return verdict("no-gpu", "no-gpu: no process of this command used the GPU through PyTorch")
    if any(each.broken for each in seen):
        return verdict("crashed", f"crashed: the observation broke: {_broken(seen)}{so_far}")
    retries = max(max(each["retries"], each["ooms"]) for each in processes)
    kind, sentence = classify_reserved(reserved, headroom, retries, margin_bytes)
    return verdict(kind, sentence, headroom)


def _broken(seen: Sequence[Observation]) -> str:
    return str(next(each.broken["error"] for each in seen if each.broken))


def _why(seen: Sequence[Observation], exit_code: int) -> str:
    failed = next((each.failed for each in seen if each.failed), None)
    if failed is not None:
        return str(failed["error"]).splitlines()[0]
    return f"the command ended with exit code {exit_code}"


def _oom_sentence(oom: dict[str, Any]) -> str:
    shape = f" for {tuple(oom['shape'])}" if oom["shape"] else ""
    where = f" at {oom['where']}" if oom["where"] else ""
    line = f" `{oom['line']}`" if oom["line"] else ""
    return (
        f"oom: {oom['phase']} of step {oom['step']} asked for {mib(oom['requested_bytes'])} MiB"
        f"{shape}{where}{line}, {mib(oom['free_bytes'])} MiB were free"
    )
