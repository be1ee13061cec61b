"""Text as a reader can see it, for every page and every terminal."""

from __future__ import annotations


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
