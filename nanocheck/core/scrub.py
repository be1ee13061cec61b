"""Text as a reader can see it, for every page and every terminal."""

from __future__ import annotations

import re

#: What the logs of CI services obey: a line that begins with ``::`` (GitHub), and ``##[`` or ``##word[``
#: anywhere in one (GitHub's older form, Azure, TeamCity).
_COMMAND = re.compile(r"^[^\S\n]*:(?=:)|#(?=#\w*\[)", re.MULTILINE)


def scrub(value: object) -> str:
    """Any value as text without characters that cannot be seen, that a terminal obeys (ESC), that change the
    order of others (U+202E makes one source line look like another), or that UTF-8 cannot hold (the halves
    that ``surrogateescape`` leaves in a path): they become U+FFFD. White space becomes spaces and line ends.
    Doing it twice changes nothing.
    """
    text = str(value).replace("\t", "    ").replace("\r\n", "\n")
    # The usual case, and fast: what a macro of a template makes comes here again with all that is around it.
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else " "
        if character.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def disarm(text: str) -> str:
    """A text for a log, without lines that a CI service would take for commands to itself: they get a space.

    For whole pages and messages, once they are laid out: where a line begins is not known before.
    Doing it twice changes nothing.
    """
    return _COMMAND.sub(lambda found: f"{found.group()} ", text)


def disarm_json(text: str) -> str:
    """The same for JSON that is laid out with a string or a bracket first in each line: its value stays."""
    return text.replace("##", "#\\u0023")  # only strings hold the sign
