"""Pages of a site as a parser reads them: elements, words, and where links lead."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Elements with their attributes, and the words between them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def html(files: dict[str, str]) -> dict[str, Reader]:
    return {name: Reader(text) for name, text in files.items() if name.endswith(".html")}


def targets(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, page in html(files).items():
        for tag, attribute in (("a", "href"), ("link", "href"), ("script", "src")):
            for each in page.of(tag):
                yield name, each[attribute]


def broken(files: dict[str, str]) -> list[tuple[str, str]]:
    """Links to a file or an anchor that is not there."""
    ids = {name: {each.get("id") for _, each in page.found} for name, page in html(files).items()}
    found = []
    for name, target in targets(files):
        path, _, anchor = target.partition("#")
        if target == "data:,":
            continue
        at = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        if at not in files or (anchor and anchor not in ids[at]):
            found.append((name, target))
    return found
