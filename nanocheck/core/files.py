"""Strict reading and atomic writing of the JSON files that nanocheck keeps."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from nanocheck.core.errors import MachineError, StoredDataError


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


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
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except _DuplicateKeyError as error:
        raise wrong(f"key {error.key!r} is duplicated", _last_line_with(text, error.key)) from error
    except json.JSONDecodeError as error:
        cut = " (the file ends too early: cut short?)" if error.pos >= len(text.rstrip()) else ""
        raise wrong(f"not JSON: {error.msg}{cut}", error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise wrong(f"expected finite numbers and flat objects, found {error}") from error
    return value, text


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file as a whole: a reader, or a crash, sees the old text or the new one.

    Raises:
        MachineError: the folder cannot be written.
    """
    temporary = ""
    try:
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
            hint=f"make {path.parent} writable",
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(key)
        result[key] = value
    return result


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _last_line_with(text: str, key: str) -> int | None:
    quoted = json.dumps(key)
    found = [number for number, line in enumerate(text.splitlines(), 1) if quoted in line]
    return found[-1] if found else None
