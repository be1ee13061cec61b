"""A check of a change as JUnit XML, which GitLab and others show beside a request: a case for each answer."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from nanocheck.core.gate import Gate, GateRow
from nanocheck.core.scrub import scrub


def render(gate: Gate) -> str:
    """The whole file. A case fails where the check fails because of it."""
    suite = ElementTree.Element("testsuite", name="nanocheck")
    for row in gate.rows:
        case = _case(suite, row.id, row.gpu)
        properties = ElementTree.SubElement(case, "properties")
        for name, value in _figures(row):
            ElementTree.SubElement(properties, "property", name=name, value=scrub(value))
        _fail(
            case, [each for each in gate.failed if each.startswith(f"{row.id} on {row.gpu}: ")], row.sentence
        )
    for missing in gate.missing:
        error = ElementTree.SubElement(_case(suite, missing.id, missing.gpu), "error")
        error.set("message", scrub(missing.why))
    suite.set("tests", str(len(gate.rows) + len(gate.missing)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    suite.set("errors", str(len(gate.missing)))
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole)
    return ElementTree.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, name: str, gpu: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=f"nanocheck.{scrub(gpu)}", name=scrub(name))


def _figures(row: GateRow) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [
        ("gpu", row.gpu),
        ("provenance", row.provenance),
        ("verdict", row.verdict),
        ("peak_allocated_bytes", row.allocated_bytes),
        ("peak_reserved_bytes", row.reserved_bytes),
    ]
    if row.headroom_bytes is not None:
        found.append(("headroom_bytes", row.headroom_bytes))
    if row.diff is not None:
        found.append(("change_bytes", row.diff.change_bytes))
    return found


def _fail(case: ElementTree.Element, why: list[str], sentence: str) -> None:
    if why:
        failure = ElementTree.SubElement(case, "failure", message=scrub("; ".join(why)))
        failure.text = scrub(sentence)
