"""Text of strangers in a comment on GitHub or GitLab: it shows what it says, and does nothing else.

Both services look for mentions (``@name``), references (``#12``) and addresses in the page they have made of
the Markdown, so an entity in its source does not keep them away; what stands in ``<code>`` they leave alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nanocheck.core.scrub import scrub

_LONGEST = 400
#: Markup, HTML, a table's borders; and by what the Markdown itself makes a link: ``http://``, ``a@b.c``.
_ESCAPED = {ord(each): f"&#{ord(each)};" for each in "&<>|`*[]~\\$_:#!\"'"}
_ESCAPED[ord("@")] = "&#64;<!-- -->"
_ESCAPED |= {ord(each): " " for each in "\n\r\t"}
_WWW = re.compile(r"www(?=\.)", re.IGNORECASE)
_BACKTICKS = re.compile(r"`+")


def code(text: object, *, most: int = _LONGEST) -> str:
    """A text as inline code, on one line, which a table's cell can hold.

    Args:
        most: longer ones are cut to so many characters.
    """
    shown = scrub(text)
    if len(shown) > most:
        shown = shown[: most - 3] + "..."
    found = shown.strip().translate(_ESCAPED)
    return f"<code>{_WWW.sub(lambda match: match[0] + '<!-- -->', found)}</code>" if found else ""


def block(lines: Sequence[str], language: str = "") -> str:
    """Lines as a block of code whose fence nothing in it can close."""
    text = scrub("\n".join(lines))
    longest = max((len(each) for each in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
