"""Append-only file of finished results, so that an interrupted run goes on where it stopped.

One JSON object a line. The first, the header, names the schema and the fingerprint of everything that
can change a result; every other carries a key, its data and a checksum of both. Each line is on disk
before ``append`` returns. A last line without its newline was cut off by a kill, and is dropped; any
other damage is an error, never a guess.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from nanocheck.core.errors import MachineError, RequestError, StoredDataError
from nanocheck.core.strict_text import parse_json

SCHEMA = 1
_KIND = "nanocheck journal"


class Journal:
    """Results by key. Opening it locks it, repairs a cut-off end and reads it whole.

    Args:
        path: made, with its folders, where it does not exist.
        fingerprint: plain data; a journal with another one is renamed aside (see ``notes``).

    Attributes:
        notes: sentences about what opening it did, for people.

    Raises:
        StoredDataError: damage that no interruption explains, or another schema.
        MachineError: another process uses it, or the file cannot be written.
    """

    def __init__(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        self.path = path
        self.notes: list[str] = []
        self._fingerprint = json.loads(_canonical(dict(fingerprint)))
        self._entries: dict[str, Any] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_locked(path)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            if not self._load():
                self._set_aside()
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise _unwritable(path, error) from error
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def get(self, key: str) -> Any:
        """The data of a key, or ``None``."""
        return self._entries.get(key)

    def append(self, key: str, data: Any) -> None:
        """Write one result and wait until it is on disk.

        Raises:
            ValueError: the key is there already, or the data hold what could not be read again (NaN, integers
                beyond 64 bits).
            MachineError: the disk is full or gone.
        """
        self.append_all({key: data})

    def append_all(self, entries: Mapping[str, Any]) -> None:
        """Write several results and wait once until all are on disk.

        Raises:
            ValueError, MachineError: see ``append``; then none of them was written.
        """
        records, kept = [], {}
        for key, data in entries.items():
            if key in self._entries:
                raise ValueError(f"{key} is in {self.path} already: a result must not be computed twice")
            body = _canonical({"data": data, "key": key})
            kept[key] = parse_json(body)["data"]
            records.append({"sum": _checksum(body), "key": key, "data": data})
        if records:
            self._write(*records)
            self._entries.update(kept)

    def close(self) -> None:
        """Release the lock. Idempotent."""
        self._file.close()

    def discard(self) -> None:
        """Remove the file of a run that is complete."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _write(self, *records: Mapping[str, Any]) -> None:
        lines = [json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n" for record in records]
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = memoryview("".join(lines).encode())
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # Leave no half line before the next one.
            self._file.truncate(end)
            raise _unwritable(self.path, error) from error

    def _load(self) -> bool:
        """Read all lines. False when the file belongs to another fingerprint."""
        content = self._file.read()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            self.notes.append(f"{self.path}: dropped a last line that was cut off")
            self._file.truncate(end)
            os.fsync(self._file.fileno())
        lines = content[:end].split(b"\n")[:-1]
        if not lines:
            self._write({"kind": _KIND, "schema": SCHEMA, "fingerprint": self._fingerprint})
            _sync_folder(self.path)
            return True
        header = self._parse(1, lines[0], {"kind", "schema", "fingerprint"})
        if header["kind"] != _KIND or header["schema"] != SCHEMA or type(header["schema"]) is not int:
            raise self._damaged(
                1,
                f"expected a {_KIND} of schema {SCHEMA}, found {header['kind']!r} of schema "
                f"{header['schema']!r}",
            )
        if header["fingerprint"] != self._fingerprint:
            return False
        for number, line in enumerate(lines[1:], 2):
            entry = self._parse(number, line, {"sum", "key", "data"})
            body = _canonical({"data": entry["data"], "key": entry["key"]})
            if entry["sum"] != _checksum(body):
                raise self._damaged(number, f"expected checksum {_checksum(body)}, found {entry['sum']!r}")
            if type(entry["key"]) is not str:
                raise self._damaged(number, f"expected a string as key, found {entry['key']!r}")
            if entry["key"] in self._entries:
                raise self._damaged(number, f"the key {entry['key']!r} is there a second time")
            self._entries[entry["key"]] = entry["data"]
        return True

    def _parse(self, number: int, line: bytes, expected: set[str]) -> dict[str, Any]:
        try:
            value = parse_json(line)
        except ValueError as error:
            raise self._damaged(number, f"expected JSON, found {line[:60]!r} ({error})") from error
        if not isinstance(value, dict) or set(value) != expected:
            found = sorted(value) if isinstance(value, dict) else value
            raise self._damaged(number, f"expected the fields {sorted(expected)}, found {found!r:.200}")
        return value

    def _damaged(self, number: int, problem: str) -> StoredDataError:
        return StoredDataError(
            f"{self.path}, line {number}: {problem}",
            hint=f"rm {self.path}   # its results are then computed again",
        )

    def _set_aside(self) -> None:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.stale-{number}")).exists():
            number += 1
        self.path.rename(aside)
        self._file.close()
        self._entries.clear()
        self._file = _open_locked(self.path)
        self._load()
        self.notes.append(
            f"{self.path} was of another environment or version; it is now {aside.name}, and all its "
            "results are computed again"
        )


def fingerprint_of(path: Path) -> dict[str, Any]:
    """Of a journal that is there, without opening it for writing.

    Raises:
        RequestError: no such file can be read.
        StoredDataError: it is no journal, or of another schema.
    """
    try:
        with path.open("rb") as file:
            line = file.readline()
    except OSError as error:
        raise RequestError(f"expected a journal, found {path}: {error.strerror or error}") from error
    try:
        header = parse_json(line)
        if header["kind"] == _KIND and header["schema"] == SCHEMA:
            return dict(header["fingerprint"])
    except (ValueError, KeyError, TypeError):
        pass
    raise StoredDataError(f"{path}: expected a {_KIND} of schema {SCHEMA}, found {line[:60]!r}")


def _open_locked(path: Path) -> io.FileIO:
    """The file, locked, and still the one at ``path`` after locking."""
    while True:
        # Unbuffered: what a full disk refused must not linger and be written later.
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise MachineError(
                f"{path} is in use by another nanocheck run",
                hint="wait until it has ended, or give this run a journal of its own",
            ) from error
        except BaseException:
            file.close()
            raise
        ours = os.fstat(file.fileno())
        try:
            there = path.stat()
        except FileNotFoundError:
            there = None
        if there is not None and (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
            return file
        file.close()


def _sync_folder(path: Path) -> None:
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unwritable(path: Path, error: OSError) -> MachineError:
    return MachineError(
        f"cannot write the journal {path}: {error.strerror or error}",
        hint="free some space, or name a journal in a folder that can be written",
    )


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
