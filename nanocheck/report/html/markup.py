"""HTML that escapes by default: text becomes markup in one place only.

``tag`` and ``join`` take plain ``str`` as text and escape it; what is a ``Markup`` already passes as it is.
So a path, a source line or a command of the user's can be put anywhere without a thought.
"""

from __future__ import annotations

import html

from nanocheck.report.html.scrub import scrub

#: The elements of the page that have no end tag.
_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Finished HTML, every piece of text in it escaped. Made by the functions of this module."""

    __slots__ = ()

    def __html__(self) -> str:
        """For templates: finished, not to be escaped again."""
        return self


def text(value: object) -> Markup:
    """Any value as text of the page, see ``scrub``."""
    return Markup(html.escape(scrub(value), quote=True))


def join(*parts: str) -> Markup:
    """The parts one after the other."""
    return Markup("".join(_finished(part) for part in parts))


def tag(name: str, /, *content: str, **attributes: object) -> Markup:
    """One element; ``class_`` is ``class``, ``data_x`` is ``data-x``, and ``None`` leaves one out."""
    head = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join(*content)}</{name}>")


def _finished(part: str) -> str:
    return part if isinstance(part, Markup) else text(part)
