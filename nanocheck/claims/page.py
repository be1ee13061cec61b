"""The ledger as one HTML page that needs nothing but itself; for ``nanocheck claims --html``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanocheck.claims.data import EVIDENCE, LEGEND, count_summary, where
from nanocheck.claims.quantities import VERDICTS
from nanocheck.report.html.assets import asset
from nanocheck.report.html.document import document
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.tables import head_row, scroll


def render(answer: Mapping[str, Any]) -> str:
    """The whole page, ending in a newline. The same answer gives the same bytes.

    Args:
        answer: see ``data.to_plain``.
    """
    style = Markup(asset("style.css") + asset("claims.css"))
    body = tag(
        "body",
        tag("header", _opening(answer)),
        tag(
            "main",
            *(_overview(ledger) for ledger in answer["ledgers"]),
            *(_details(ledger) for ledger in answer["ledgers"]),
            _legend(answer),
        ),
    )
    return document(f"Claims ledger: {count_summary(answer)}", style, body)


def _opening(answer: Mapping[str, Any]) -> Markup:
    tally = [
        tag("li", tag("b", str(answer["counts"][verdict])), verdict, class_=_mood(verdict))
        for verdict in VERDICTS
    ]
    return tag(
        "div",
        tag("p", tag("span", where(answer), class_="card-facts"), class_="eyebrow"),
        tag("h1", "What is true of what people say?"),
        tag("ul", *tally, class_="tally"),
        tag("p", f"{answer['date']} \N{MIDDLE DOT} nanocheck {answer['nanocheck']}", class_="provenance"),
        class_="verdict none",
    )


def _overview(ledger: Mapping[str, Any]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", tag("a", each["id"], href=f"#{_anchor(each['id'])}"), scope="row"),
            tag("td", each["says"], class_="says"),
            tag("td", _stamp(each["verdict"])),
            tag("td", each["sentence"]),
            tag("td", each["provenance"], class_="quiet"),
        )
        for each in ledger["claims"]
    ]
    head = head_row(("", ""), ("says", ""), ("verdict", ""), ("in one sentence", ""), ("evidence", ""))
    return tag(
        "section",
        tag("h2", ledger["title"]),
        tag("p", ledger["about"], class_="quiet"),
        scroll(tag("table", head, tag("tbody", *rows), class_="ledger")),
    )


def _details(ledger: Mapping[str, Any]) -> Markup:
    claims = [_claim(each) for each in ledger["claims"]]
    return tag("section", tag("h2", f"{ledger['title']}: how each verdict is known"), *claims)


def _claim(claim: Mapping[str, Any]) -> Markup:
    title = tag(
        "h3", tag("span", claim["id"], class_="id"), tag("span", claim["title"]), _stamp(claim["verdict"])
    )
    parts = [title, tag("p", f"“{claim['says']}”", class_="says"), tag("blockquote", claim["sentence"])]
    if claim["same"] is False:
        parts.append(tag("p", f"Not as expected: {claim['expected']}.", class_="changed"))
    parts += [tag("p", f"Why: {claim['why']}.")] if claim["why"] else []
    parts += [tag("p", claim["note"], class_="quiet")] if claim["note"] else []
    parts += [
        tag("p", f"{key.replace('_', ' ')}: ", tag("code", text), class_="rule quiet")
        for key, text in claim["rules"].items()
    ]
    rows = [
        tag(
            "tr",
            tag("td", each["name"]),
            tag("td", each["value"], class_="number"),
            tag("td", each["provenance"], class_="quiet"),
            tag("td", each["how"]),
        )
        for each in claim["figures"]
    ]
    if rows:
        head = head_row(("figure", ""), ("value", "number"), ("evidence", ""), ("how it is known", ""))
        parts.append(
            tag(
                "details",
                tag("summary", f"{len(rows)} figures: {claim['provenance']}"),
                scroll(tag("table", head, tag("tbody", *rows))),
            )
        )
    return tag("div", *parts, class_=f"claim {_mood(claim['verdict'])}", id=_anchor(claim["id"]))


def _legend(answer: Mapping[str, Any]) -> Markup:
    words = [tag("li", tag("b", word), f": {meaning}") for word, meaning in {**LEGEND, **EVIDENCE}.items()]
    facts = [
        tag("div", tag("dt", str(name)), tag("dd", str(value)))
        for name, value in sorted(answer["environment"].items())
        if value
    ]
    return join(
        tag("section", tag("h2", "Legend"), tag("ul", *words, class_="notes")),
        tag("section", tag("h2", "Environment"), tag("dl", *facts, class_="facts")) if facts else join(),
        tag("section", tag("h2", "To reproduce"), tag("pre", tag("code", answer["command"]))),
    )


def _stamp(verdict: str) -> Markup:
    return tag("span", verdict, class_=f"stamp {_mood(verdict)}")


def _mood(verdict: str) -> str:
    return f"is-{verdict.replace(' ', '-')}"


def _anchor(claim_id: str) -> str:
    return f"claim-{claim_id}"
