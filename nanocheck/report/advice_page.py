"""Advice or frontier as one HTML page without scripts and without network."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nanocheck.report import caveats, frontier_picture, frontier_text
from nanocheck.report.advice_data import AdviceFile, FrontierFile, Recommended
from nanocheck.report.html.assets import asset
from nanocheck.report.html.document import document
from nanocheck.report.html.format import mib, size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.tables import head_row, scroll


def render(data: AdviceFile | FrontierFile) -> str:
    """The whole page, ending in a newline. The same data give the same bytes.

    Args:
        data: what ``--json`` of ``nanocheck advise`` or ``nanocheck frontier`` writes.
    """
    title = (
        f"{'Largest batch' if isinstance(data, FrontierFile) else 'What to train with'} on {data.device.name}"
    )
    style = Markup(asset("style.css") + frontier_picture.STYLE)
    sections = _frontier(data) if isinstance(data, FrontierFile) else _advice(data)
    body = tag("body", tag("header", _head(data, title)), tag("main", *sections, _notes(data)))
    return document(title, style, body)


def _head(data: AdviceFile | FrontierFile, title: str) -> Markup:
    device, model = data.device, data.rows[0] if isinstance(data, FrontierFile) else data.model
    facts = [str(device.name), str(device.platform).capitalize()]
    facts += [f"{size(device.reserve_bytes)} used by other processes"] if device.reserve_bytes else []
    sentence = f"{model.model}, sequences of {model.block_size:,} tokens"
    if isinstance(data, AdviceFile):
        sentence += f", {data.tokens_per_step:,} tokens per step"
    else:
        sentence += f", accumulation {data.accumulation}; {size(data.margin_bytes)} stay free"
    badges = [tag("span", each.upper(), class_=f"badge {each}") for each in data.provenances]
    return tag(
        "div",
        tag("p", *badges, tag("span", " \N{MIDDLE DOT} ".join(facts), class_="card-facts"), class_="eyebrow"),
        tag("h1", f"{title}."),
        tag(
            "p",
            f"{sentence}; PyTorch may reserve {size(data.device.available_bytes)}.",
            class_="sentence",
        ),
        *(tag("p", caveats.sentence(each), class_="provenance") for each in data.provenances),
        "" if data.complete else tag("p", "Interrupted: nothing is known of what is missing."),
        class_="verdict none",
    )


def _frontier(data: FrontierFile) -> list[Markup]:
    names: Sequence[str] = data.columns
    available = data.device.available_bytes
    rows = [
        tag(
            "tr",
            tag("th", row.label, scope="row"),
            tag("td", f"{row.parameters / 1e6:,.0f} M", class_="number"),
            *(
                tag("td", frontier_text.words(data.cell(at, column)), class_="number")
                for column in range(len(names))
            ),
        )
        for at, row in enumerate(data.rows)
    ]
    head = head_row(("", ""), ("parameters", "number"), *((name, "number") for name in names))
    remarks = [tag("li", line) for each in data.cells for line in frontier_text.remarks(each, data)]
    pictures = [
        tag(
            "section",
            tag("h2", f"{row.model} {row.label}: batch by method"),
            frontier_picture.key() if at == 0 else "",
            scroll(
                frontier_picture.draw(
                    [data.cell(at, column) for column in range(len(names))], names, available
                )
            ),
        )
        for at, row in enumerate(data.rows)
    ]
    table = tag(
        "section",
        tag("h2", "Largest batch, and what it reserves in MiB"),
        scroll(tag("table", head, tag("tbody", *rows))),
        tag("ul", *remarks, class_="notes") if remarks else "",
    )
    return [table, *pictures]


def _advice(data: AdviceFile) -> list[Markup]:
    answers = [_answer(place, each) for place, each in enumerate(data.recommendations, 1)]
    if not answers:
        near = data.nearest
        words = "Nothing fits." + (f" The smallest that was run, {near.id}: {near.verdict}" if near else "")
        answers = [tag("section", tag("p", words, class_="empty"))]
    rows = [
        tag(
            "tr",
            tag("th", row.name, scope="row"),
            tag(
                "td",
                "" if row.batch is None else f"{row.batch} \N{MULTIPLICATION SIGN} {row.accumulation}",
                class_="number",
            ),
            tag("td", "" if row.seconds is None else f"{row.seconds:.2f}", class_="number"),
            tag("td", str(row.runs), class_="number"),
            tag("td", row.note),
        )
        for row in data.searched
    ]
    head = head_row(
        ("searched", ""),
        ("batch", "number"),
        ("s a step, computed", "number"),
        ("runs", "number"),
        ("why", ""),
    )
    table = scroll(tag("table", head, tag("tbody", *rows)))
    return [*answers, tag("section", tag("h2", "What was searched"), table, tag("p", caveats.PREDICTED))]


def _answer(place: int, answer: Recommended) -> Markup:
    run, settings = answer.run, answer.settings
    environment = [f"{name}={value}" for name, value in settings.environment.items()]
    remarks = [answer.note, *answer.notes, *settings.notes]
    remarks += [f"the script must change: {each}" for each in settings.changes]
    if answer.beyond is not None:
        remarks.insert(0, f"batch {answer.beyond.batch}: {answer.beyond.verdict}")
    return tag(
        "section",
        tag(
            "h2",
            f"{place}. {answer.name}: {_times(answer)} = {answer.tokens:,} tokens",
        ),
        tag(
            "p",
            f"{run.provenance.capitalize()}: {mib(run.allocated_bytes)} MiB allocated; "
            f"{run.verdict}. Computed: {answer.predicted.seconds:.2f} s a step.",
        ),
        tag("pre", tag("code", "\n".join([*settings.lines, *environment]))),
        tag("ul", *(tag("li", each) for each in remarks if each), class_="notes"),
    )


def _times(split: Recommended) -> str:
    return f"{split.batch} \N{MULTIPLICATION SIGN} {split.accumulation}"


def _notes(data: AdviceFile | FrontierFile) -> Markup:
    found = data.provenances
    limits = [tag("li", words) for words in caveats.limits_of_search(found)]
    facts = [
        tag("div", tag("dt", name), tag("dd", str(value)))
        for name, value in sorted(msgspec.structs.asdict(data.environment).items())
        if value
    ]
    return join(
        tag("section", tag("h2", "Notes and limits"), tag("ul", *limits, class_="notes limit-notes")),
        tag("section", tag("h2", "Environment"), tag("dl", *facts, class_="facts")),
    )
