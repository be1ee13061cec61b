"""What text for people is made of: words in the styles they always have, prose, and lines to paste.

Every string that becomes a block goes through ``plain``: text of a script or of a user can neither give a
terminal orders nor look like another text, and has no markup. A style never says anything that the words do
not say.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from nanocheck.core.result import Provenance
from nanocheck.core.scrub import scrub
from nanocheck.core.verdict import Kind, Verdict

#: What stands between two empty lines.
Block = RenderableType
#: A piece of text, with or without a style.
Words = str | Text

#: Longer lines are hard to read, however wide the terminal is.
PROSE_COLUMNS = 100
#: Below so many columns lines are too long for the terminal rather than a word on each.
NARROWEST = 40

_VERDICTS = {
    Kind.SAFE: "green",
    Kind.TIGHT: "yellow",
    Kind.PARTIAL: "yellow",
    Kind.LOST_WORK: "red",
    Kind.OOM: "red",
}
_NO_ANSWER = "magenta"
_PROVENANCES = {Provenance.MEASURED: "bold", Provenance.VIRTUAL: "cyan"}


def plain(value: object) -> str:
    """Any value as one line that can be shown, see ``scrub``."""
    return scrub(value).replace("\n", " ")


def words(*parts: Words, style: str = "") -> Text:
    """The parts one after the other; those with a style of their own keep it."""
    found = Text(style=style, overflow="ignore")
    for part in parts:
        found.append_text(part if isinstance(part, Text) else Text(plain(part)))
    return found


def verdict(kind: Kind, word: str = "") -> Text:
    """The word for a verdict, or another one that says the same."""
    return Text(word or kind.value, style=f"bold {_VERDICTS.get(kind, _NO_ANSWER)}")


def verdict_sentence(found: Verdict, word: str = "") -> Text:
    """``safe: 900.00 MiB of headroom: ...``"""
    return words(verdict(found.kind, word), f": {found.sentence}")


def provenance(found: Provenance) -> Text:
    """The word for where a number comes from."""
    return Text(found.value, style=_PROVENANCES.get(found, ""))


@dataclass(frozen=True, kw_only=True)
class Prose:
    """Text that is filled to the terminal's width; a word that is longer than a line, such as a path, stays
    whole.

    Attributes:
        indent: spaces before every line.
        hanging: further spaces before every line but the first.
    """

    text: Text
    indent: int = 0
    hanging: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(NARROWEST, min(options.max_width, PROSE_COLUMNS)) - self.indent - self.hanging
        for number, line in enumerate(self.text.wrap(console, room)):
            line.rstrip()
            spaces = self.indent + (self.hanging if number else 0)
            yield Text(" " * spaces, no_wrap=True, overflow="ignore").append_text(line)


def prose(*parts: Words, indent: int = 0, hanging: int = 0, style: str = "") -> Prose:
    """See ``Prose`` and ``words``."""
    return Prose(text=words(*parts, style=style), indent=indent, hanging=hanging)


def verbatim(line: str, indent: int = 0) -> Text:
    """A line to paste: never wrapped."""
    return Text(" " * indent + plain(line), no_wrap=True, overflow="ignore")


def stack(*blocks: Block) -> Group:
    """Blocks one under the other, without the empty lines between them."""
    return Group(*blocks)
