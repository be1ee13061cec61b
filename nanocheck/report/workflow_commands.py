"""GitHub's workflow commands: lines of a log that its runner obeys, such as annotations; and its limits."""

from __future__ import annotations

from nanocheck.core.scrub import disarm, scrub

#: GitHub drops a whole job summary above 1,024 KiB (docs.github.com, "Adding a job summary").
SUMMARY_LIMIT_BYTES = 1024 * 1024
#: GitHub shows ten error annotations per step and drops the rest.
ANNOTATION_LIMIT = 10


def annotation(kind: str, text: str, *, title: str, file: str = "", line: int = 0) -> str:
    """``::error file=train.py,line=3,title=...::text``; nothing in its parts can end it or begin another.

    Args:
        kind: error, warning or notice.
    """
    place = f"file={property_value(file)}," if file else ""
    if file and line:
        place += f"line={line},"
    return f"::{kind} {place}title={property_value(title)}::{message(text)}"


def message(text: str) -> str:
    """The text of a command, as one line."""
    return disarm(scrub(text)).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def property_value(text: str) -> str:
    """The value of a command's property."""
    return message(text).replace(":", "%3A").replace(",", "%2C")
