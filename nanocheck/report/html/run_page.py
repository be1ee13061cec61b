"""The page: verdict, figures, picture, tables, then what to know about the numbers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nanocheck.core.units import GIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import caveats
from nanocheck.report.html import document
from nanocheck.report.html import palette as colours
from nanocheck.report.html.assets import asset
from nanocheck.report.html.format import NONE, cell, plural, size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.process_section import section
from nanocheck.report.html.tables import head_row, scroll

_HEADLINES = {
    "safe": "Fits on {card}",
    "tight": "Only just fits on {card}",
    "oom": "Out of memory on {card}",
    "crashed": "The script failed before there was an answer for {card}",
    "timeout": "Time ran out before there was an answer for {card}",
    "interrupted": "Interrupted before there was an answer for {card}",
    "no-gpu": "Nothing here used {card}",
}
_SIGNS = {"safe": "\N{CHECK MARK}", "tight": "!", "oom": "\N{MULTIPLICATION X}"}


def render(run: JudgedRun) -> str:
    """The whole page, ending in a newline. The same run gives the same bytes."""
    answer = plain(run)
    palette = colours.of(answer)
    style = Markup(asset("style.css") + colours.style())
    script = Markup(asset("readout.js"))
    processes: Sequence[Mapping[str, Any]] = answer.get("processes") or ()
    only = len(processes) == 1
    sections = [section(answer, each, palette, place, only=only) for place, each in enumerate(processes, 1)]
    if not processes:
        words = "There is nothing to show: no process left figures of memory on the card."
        sections = [tag("section", tag("p", words, class_="empty"))]
    body = tag(
        "body",
        tag("header", _verdict(answer)),
        tag("main", _contents(processes), *sections, _notes(answer), _environment(answer), _run(answer)),
        tag("script", script),
    )
    return document.document(f"{_headline(answer)}: {_command(answer['command'])}", style, body, script)


def plain(run: JudgedRun) -> dict[str, Any]:
    """The run as mappings, which the parts of the page read."""
    result: dict[str, Any] = msgspec.to_builtins(run.result)
    result["verdict"] = msgspec.to_builtins(run.verdict)
    for process, typed in zip(result["processes"], run.result.processes, strict=True):
        process["peak"] = {
            name: process[name] for name in ("allocated_bytes", "reserved_bytes", "process_bytes")
        }
        process["phases"] = [
            {"phase": phase, "allocated_bytes": allocated, "reserved_bytes": reserved}
            for phase, (allocated, reserved) in typed.phase_peaks().items()
        ]
        if typed.fragmentation is not None:
            process["fragmentation"]["inactive_bytes"] = typed.fragmentation.inactive_bytes
    return result


def _card(answer: Mapping[str, Any]) -> str:
    return str((answer.get("device") or {}).get("name") or "this device")


def _headline(answer: Mapping[str, Any]) -> str:
    return _HEADLINES.get(str(answer["verdict"]["kind"]), "No answer for {card}").replace(
        "{card}", _card(answer)
    )


def _verdict(answer: Mapping[str, Any]) -> Markup:
    verdict, device = answer["verdict"], answer.get("device") or {}
    kind, provenance = str(verdict["kind"]), str(answer.get("provenance") or "")
    sentence = str(verdict["sentence"])
    card = [_card(answer)]
    if device.get("capacity_bytes"):
        card.append(f"{device['capacity_bytes'] / GIB:.2f} GiB")
    card += [str(device["platform"]).capitalize()] if device.get("platform") else []
    if device.get("reserve_bytes"):
        card.append(f"{size(device['reserve_bytes'])} used by other processes")
    if device.get("capped_from"):
        card.append(f"capped from {device['capped_from']}")
    return tag(
        "div",
        tag(
            "p",
            tag(
                "span",
                provenance.upper(),
                class_=f"badge {provenance}",
            ),
            tag("span", " \N{MIDDLE DOT} ".join(card), class_="card-facts"),
            class_="eyebrow",
        ),
        tag(
            "h1",
            tag("span", _SIGNS.get(kind, "?"), class_="sign", aria_hidden="true"),
            f"{_headline(answer)}.",
        ),
        tag("p", *_prose(sentence[:1].upper() + sentence[1:]), class_="sentence"),
        tag("p", caveats.sentence(provenance), class_="provenance"),
        class_=f"verdict {kind if kind in _SIGNS else 'none'}",
    )


def _prose(sentence: str) -> list[str]:
    """What stands between backticks, in code type."""
    return [tag("code", part) if place % 2 else part for place, part in enumerate(sentence.split("`"))]


def _contents(processes: Sequence[Mapping[str, Any]]) -> Markup:
    """Of several processes, one line each with its peak."""
    if len(processes) < 2:
        return join()
    rows = [
        tag(
            "tr",
            tag("th", tag("a", f"process {each['pid']}", href=f"#process-{place}"), scope="row"),
            tag("td", cell(each["peak"]["allocated_bytes"]), class_="number"),
            tag("td", cell(each["peak"]["reserved_bytes"]), class_="number"),
            tag("td", cell(each["peak"]["process_bytes"]), class_="number"),
            tag("td", tag("code", _command(each.get("command") or ())), class_="place"),
        )
        for place, each in enumerate(processes, 1)
    ]
    head = head_row(
        ("", ""),
        *((f"{name}, MiB", "number") for name in ("allocated", "reserved", "process")),
        ("command", ""),
    )
    title = tag("h2", f"{plural(len(processes), 'process', 'processes')} used the card")
    table = scroll(tag("table", head, tag("tbody", *rows), class_="processes"))
    return tag("section", title, table)


def _notes(answer: Mapping[str, Any]) -> Markup:
    notes = [tag("li", str(note)) for note in answer.get("notes") or ()]
    provenance = str(answer.get("provenance") or "")
    limits = [tag("li", words) for words in caveats.limits_of_command(provenance)]
    return tag(
        "section",
        tag("h2", "Notes and limits"),
        tag("ul", *notes, class_="notes") if notes else "",
        tag("ul", *limits, class_="notes limit-notes"),
    )


def _environment(answer: Mapping[str, Any]) -> Markup:
    facts: list[tuple[str, object]] = sorted((answer.get("environment") or {}).items())
    facts += [(f"device {name}", value) for name, value in sorted((answer.get("device") or {}).items())]
    rows = [
        tag("div", tag("dt", name.removesuffix("_bytes").replace("_", " ")), tag("dd", _fact(name, value)))
        for name, value in facts
        if value is not None and value != ""
    ]
    return tag("section", tag("h2", "Environment"), tag("dl", *rows, class_="facts"))


def _fact(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{cell(value)} MiB"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" for key, each in sorted(value.items())) or NONE
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NONE
    return str(value)


def _run(answer: Mapping[str, Any]) -> Markup:
    ending = answer.get("ending") or {}
    ended = str(ending.get("how") or "")
    how = {
        "finished": "It ran to its end",
        "answered": "It was ended once the answer was known",
        "failed": "It failed",
        "killed": "It was killed",
        "timeout": "It was ended by the time limit",
        "interrupted": "It was interrupted",
    }.get(ended, f"It ended: {ended}")
    code, seconds = ending.get("exit_code"), answer["seconds"].get("command")
    words = how + (f", with exit code {code}" if code is not None else "")
    words += f", after {seconds:,.1f} s on this machine's clock" if seconds is not None else ""
    return tag(
        "section",
        tag("h2", "The command that was run"),
        tag("pre", tag("code", _command(answer["command"])), class_="command"),
        tag("p", f"{words}.", class_="quiet"),
    )


def _command(words: Sequence[object]) -> str:
    return shlex.join(map(str, words))
