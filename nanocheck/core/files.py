"""Strict reading and atomic writing of the JSON that nanocheck keeps, and typed values from it.

What strict means: ``strict_text``. Which fields there must be, and of which type, is said by the type that is
asked for (``msgspec``).
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nanocheck.core.errors import MachineError, NanocheckError, StoredDataError
from nanocheck.core.full_disk import writing_hint
from nanocheck.core.strict_text import DuplicateKeyError, parse_json

T = TypeVar("T")


def read_json(path: Path, *, hint: str) -> tuple[Any, str]:
    """The strict JSON value in a file, and the text it was read from.

    Args:
        hint: the command that makes the file anew, for the errors.

    Raises:
        StoredDataError: not readable, not UTF-8, not JSON, cut short, a merge conflict, a key twice in one
            object, or a number that is not finite. With the line where it is known.
    """

    def wrong(problem: str, line: int | None = None) -> StoredDataError:
        place = f"{path}:{line}" if line else str(path)
        return StoredDataError(f"{place}: {problem}", hint=hint)

    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise wrong(f"expected a readable file, found: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise wrong(
            f"expected UTF-8, found byte {error.object[error.start]:#04x} at {error.start}"
        ) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            raise wrong("expected JSON, found the marks of an unresolved merge", number)
    try:
        return parse_json(text), text
    except DuplicateKeyError as error:
        raise wrong(str(error), _last_line_with(text, error.key)) from error
    except json.JSONDecodeError as error:
        cut = " (the file ends too early: cut short?)" if error.pos >= len(text.rstrip()) else ""
        raise wrong(f"not JSON: {error.msg}{cut}", error.lineno) from error
    except ValueError as error:
        raise wrong(f"expected finite numbers and flat objects, found {error}") from error


def read_typed(path: Path, kind: type[T], *, what: str, schema: int, hint: str) -> T:
    """The value of a type in a JSON file.

    Args:
        what: what the file holds, for the errors, such as ``a report``.
        schema: what its field ``schema`` must say.

    Raises:
        StoredDataError: see ``read_json``; or another schema, or data that are not of the type.
    """
    data, _ = read_json(path, hint=hint)
    check_schema(data, what=what, schema=schema, where=str(path), hint=hint)
    return to_typed(data, kind, what=what, where=str(path), hint=hint)


def check_schema(data: Any, *, what: str, schema: int, where: str, hint: str | None) -> None:
    """
    Raises:
        StoredDataError: the data are no object, or of another schema.
    """
    found = data.get("schema") if isinstance(data, dict) else type(data).__name__
    if type(found) is not int or found != schema:
        newer = " (written by a newer nanocheck)" if type(found) is int and found > schema else ""
        raise StoredDataError(
            f"{where}: expected {what} of schema {schema}, found {found!r}{newer}", hint=hint
        )


def to_typed(data: Any, kind: type[T], *, what: str, where: str, hint: str | None) -> T:
    """The value of a type from plain data.

    Raises:
        StoredDataError: the data are not of the type; the message names the field.
    """
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the second: half of a character
        raise StoredDataError(f"{where}: malformed {what.removeprefix('a ')}: {error}", hint=hint) from error
    except StoredDataError:
        raise
    except NanocheckError as error:  # a configuration that makes no sense
        raise StoredDataError(
            f"{where}: malformed {what.removeprefix('a ')}: {error.problem}", hint=hint
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file as a whole: a reader, or a crash, sees the old text or the new one.

    What is there and no file, such as ``/dev/stdout``, a pipe or ``/dev/null``, is written to: root could
    replace it, and the machine would lose it.

    Raises:
        MachineError: the folder cannot be written, or its disk is full.
    """
    temporary = ""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes private files; these are meant to be committed
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise MachineError(
            f"expected to write {path}, found: {error.strerror or error}",
            hint=writing_hint(path.parent, error),
        ) from error


def expect_writable(path: Path) -> None:
    """Before hours of work whose result is to be written there; makes its folder.

    Raises:
        MachineError: ``write_atomically`` could not write it now.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent):
            pass
    except OSError as error:
        raise MachineError(
            f"expected to write {path}, found: {error.strerror or error}",
            hint=writing_hint(path.parent, error),
        ) from error


def dump_rows(
    head: Mapping[str, Any], name: str, rows: Sequence[str] | Mapping[str, str], indent: int = 1
) -> str:
    """JSON with a line for each field of ``head`` and for each row: one changed row is one line of a diff.

    Args:
        name: the field that holds the rows.
        rows: JSON texts; by their names where they are to be one object.
    """
    space = " " * indent
    opening, closing = "[]"
    if isinstance(rows, Mapping):
        opening, closing = "{}"
        rows = [f"{json.dumps(key)}: {row}" for key, row in rows.items()]
    lines = [f"{space}{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    body = ",\n".join(f"{space * 2}{row}" for row in rows)
    middle = [f"{space}{json.dumps(name)}: {opening}", *([body] if body else []), f"{space}{closing}"]
    return "\n".join(["{", *lines, *middle, "}", ""])


def _last_line_with(text: str, key: str) -> int | None:
    quoted = json.dumps(key)
    found = [number for number, line in enumerate(text.splitlines(), 1) if quoted in line]
    return found[-1] if found else None
