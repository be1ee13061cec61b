"""Advice or frontier as one HTML page without scripts and without network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nanocheck.core.device import available_bytes
from nanocheck.report import advice_text, frontier_picture
from nanocheck.report.html.assets import asset
from nanocheck.report.html.caveats import LIMITS, PROVENANCE
from nanocheck.report.html.document import document
from nanocheck.report.html.format import cell, size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.tables import head_row, scroll
from nanocheck.search import frontier


def render(data: Mapping[str, Any]) -> str:
    """The whole page, ending in a newline. The same data give the same bytes.

    Args:
        data: what ``--json`` of ``nanocheck advise`` or ``nanocheck frontier`` writes.
    """
    charted = data["kind"] == "frontier"
    title = f"{'Largest batch' if charted else 'What to train with'} on {data['device']['name']}"
    style = Markup(asset("style.css") + frontier_picture.STYLE)
    sections = _frontier(data) if charted else _advice(data)
    body = tag("body", tag("header", _head(data, title)), tag("main", *sections, _notes(data)))
    return document(title, style, body)


def _head(data: Mapping[str, Any], title: str) -> Markup:
    device, model = data["device"], data["model"] if "model" in data else data["rows"][0]["model"]
    facts = [str(device["name"]), str(device["platform"]).capitalize()]
    facts += [f"{size(device['reserve_bytes'])} used by other processes"] if device["reserve_bytes"] else []
    sentence = f"{model['model']}, sequences of {model['block_size']:,} tokens"
    if "tokens_per_step" in data:
        sentence += f", {data['tokens_per_step']:,} tokens per step"
    else:
        sentence += f", accumulation {data['accumulation']}; {size(data['margin_bytes'])} stay free"
    badges = [tag("span", each.upper(), class_=f"badge {each}") for each in _provenances(data)]
    return tag(
        "div",
        tag("p", *badges, tag("span", " \N{MIDDLE DOT} ".join(facts), class_="card-facts"), class_="eyebrow"),
        tag("h1", f"{title}."),
        tag(
            "p",
            f"{sentence}; PyTorch may reserve {size(available_bytes(data['device']))}.",
            class_="sentence",
        ),
        *(tag("p", PROVENANCE.get(each, ""), class_="provenance") for each in _provenances(data)),
        "" if data["complete"] else tag("p", "Interrupted: nothing is known of what is missing."),
        class_="verdict none",
    )


def _frontier(data: Mapping[str, Any]) -> list[Markup]:
    cells = {(each["row"], each["column"]): each for each in data["cells"]}
    names: Sequence[str] = data["columns"]
    available = available_bytes(data["device"])
    rows = [
        tag(
            "tr",
            tag("th", row["label"], scope="row"),
            tag("td", f"{row['model']['parameters'] / 1e6:,.0f} M", class_="number"),
            *(tag("td", frontier.words(cells[at, column]), class_="number") for column in range(len(names))),
        )
        for at, row in enumerate(data["rows"])
    ]
    head = head_row(("", ""), ("parameters", "number"), *((name, "number") for name in names))
    remarks = [tag("li", line) for each in data["cells"] for line in frontier.remarks(each, data)]
    pictures = [
        tag(
            "section",
            tag("h2", f"{row['model']['model']} {row['label']}: batch by method"),
            frontier_picture.key() if at == 0 else "",
            scroll(
                frontier_picture.draw([cells[at, column] for column in range(len(names))], names, available)
            ),
        )
        for at, row in enumerate(data["rows"])
    ]
    table = tag(
        "section",
        tag("h2", "Largest batch, and what it reserves in MiB"),
        scroll(tag("table", head, tag("tbody", *rows))),
        tag("ul", *remarks, class_="notes") if remarks else "",
    )
    return [table, *pictures]


def _advice(data: Mapping[str, Any]) -> list[Markup]:
    answers = [_answer(place, each) for place, each in enumerate(data["answers"], 1)]
    if not answers:
        near = data["nearest"]
        words = "Nothing fits." + (
            f" The smallest that was run, {near['id']}: {near['sentence']}" if near else ""
        )
        answers = [tag("section", tag("p", words, class_="empty"))]
    rows = [
        tag(
            "tr",
            tag("th", row["name"], scope="row"),
            tag(
                "td",
                ""
                if row["batch"] is None
                else f"{row['batch']} \N{MULTIPLICATION SIGN} {row['accumulation']}",
                class_="number",
            ),
            tag("td", "" if row["seconds"] is None else f"{row['seconds']:.2f}", class_="number"),
            tag("td", str(row["runs"]), class_="number"),
            tag("td", row["note"]),
        )
        for row in data["searched"]
    ]
    head = head_row(
        ("searched", ""),
        ("batch", "number"),
        ("s a step, computed", "number"),
        ("runs", "number"),
        ("why", ""),
    )
    table = scroll(tag("table", head, tag("tbody", *rows)))
    return [*answers, tag("section", tag("h2", "What was searched"), table, tag("p", advice_text.PREDICTED))]


def _answer(place: int, answer: Mapping[str, Any]) -> Markup:
    run, paste = answer["run"], answer["paste"]
    environment = [f"{name}={value}" for name, value in paste["environment"].items()]
    remarks = [answer["note"], *answer["notes"], *paste["notes"]]
    remarks += [f"the script must change: {each}" for each in paste["changes"]]
    if answer["beyond"] is not None:
        remarks.insert(0, f"batch {answer['beyond']['batch']}: {answer['beyond']['sentence']}")
    return tag(
        "section",
        tag(
            "h2",
            f"{place}. {answer['name']}: {_times(answer)} = {answer['tokens']:,} tokens",
        ),
        tag(
            "p",
            f"{run['provenance'].capitalize()}: {cell(run['allocated_bytes'])} MiB allocated; "
            f"{run['sentence']}. Computed: {answer['predicted']['seconds']:.2f} s a step.",
        ),
        tag("pre", tag("code", "\n".join([*paste["lines"], *environment]))),
        tag("ul", *(tag("li", each) for each in remarks if each), class_="notes"),
    )


def _times(split: Mapping[str, Any]) -> str:
    return f"{split['batch']} \N{MULTIPLICATION SIGN} {split['accumulation']}"


def _notes(data: Mapping[str, Any]) -> Markup:
    found = _provenances(data)
    # The limits of the page of one run speak of groups, which there are none of here.
    limits = [
        tag("li", words)
        for only, words in LIMITS
        if (only is None or only in found) and not words.startswith("Groups")
    ]
    facts = [
        tag("div", tag("dt", name), tag("dd", str(value)))
        for name, value in sorted(data["environment"].items())
        if value
    ]
    return join(
        tag("section", tag("h2", "Notes and limits"), tag("ul", *limits, class_="notes limit-notes")),
        tag("section", tag("h2", "Environment"), tag("dl", *facts, class_="facts")),
    )


def _provenances(data: Mapping[str, Any]) -> list[str]:
    runs = [run for each in data.get("cells", ()) for run in each["runs"]]
    runs += [each["run"] for each in data.get("answers", ())]
    return sorted({run["provenance"] for run in runs})
