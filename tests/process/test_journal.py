"""The journal loses nothing that was acknowledged, and believes nothing that is damaged."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from nanocheck.core.errors import MachineError, StoredDataError
from nanocheck.process.journal import Journal


@pytest.fixture(scope="module", autouse=True)
def synced() -> Iterator[list[int]]:
    """Waiting for the disk thousands of times shows nothing; that it is waited for is counted."""
    sizes: list[int] = []
    patch = pytest.MonkeyPatch()
    patch.setattr("nanocheck.process.journal.os.fsync", lambda fd: sizes.append(os.fstat(fd).st_size))
    yield sizes
    patch.undo()


PRINT = {"torch": "2.14.1", "nanocheck": "abc"}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
entries = st.dictionaries(st.text(), json_values, max_size=5)


def write(path: Path, content: dict[str, Any]) -> bytes:
    with Journal(path, PRINT) as journal:
        for key, data in content.items():
            journal.append(key, data)
    return path.read_bytes()


def read(path: Path) -> dict[str, Any]:
    with Journal(path, PRINT) as journal:
        assert journal.notes == []
        return {key: journal.get(key) for key in journal}


@given(entries)
def test_what_was_appended_is_read_again(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sub", "journal.jsonl")
        raw = write(path, content)
        assert read(path) == content
        assert path.read_bytes() == raw
        assert len(raw.splitlines()) == len(content) + 1
        assert all(isinstance(json.loads(line), dict) for line in raw.splitlines())


@given(entries.filter(bool), st.data())
def test_killed_in_the_middle_of_the_last_line(content: dict[str, Any], data: st.DataObject) -> None:
    """Cut at any byte of the last line: all others are kept, and the file is repaired."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        raw = write(path, content)
        start = raw.rfind(b"\n", 0, -1) + 1
        cut = data.draw(st.integers(start, len(raw) - 1))
        path.write_bytes(raw[:cut])
        *kept, (last, value) = content.items()
        with Journal(path, PRINT) as journal:
            assert {key: journal.get(key) for key in journal} == dict(kept)
            assert bool(journal.notes) == (cut > start)
            assert path.read_bytes() == raw[:start]
            journal.append(last, value)
        assert path.read_bytes() == raw
        assert read(path) == content


def test_every_cut_of_a_whole_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    raw = write(path, {"a": [1, {"b": None}], "c": "d"})
    for cut in range(len(raw)):
        path.write_bytes(raw[:cut])
        with Journal(path, PRINT) as journal:
            assert len(journal) == max(0, raw[:cut].count(b"\n") - 1)


@given(entries.filter(bool), st.data())
def test_a_changed_byte_is_never_believed(content: dict[str, Any], data: st.DataObject) -> None:
    """Damage is an error, or it changes nothing that is read, or it looks like a cut-off end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        raw = write(path, content)
        position = data.draw(st.integers(0, len(raw) - 1))
        byte = data.draw(st.integers(0, 255))
        damaged = raw[:position] + bytes([byte]) + raw[position + 1 :]
        path.write_bytes(damaged)
        failure = None
        found: dict[str, Any] = {}
        notes: list[str] = []
        try:
            with Journal(path, PRINT) as journal:
                found = {key: journal.get(key) for key in journal}
                notes = journal.notes
        except StoredDataError as error:
            failure = error
        if failure is not None:
            assert ", line " in failure.problem
            assert failure.hint
            # An error touches nothing but an end that was cut off.
            assert damaged.startswith(path.read_bytes())
        elif notes:  # the last newline was hit, or the fingerprint in the header
            assert all(content[key] == value for key, value in found.items())
        else:
            assert found == content


def lines_of(path: Path) -> list[bytes]:
    write(path, {"one": 1, "two": {"x": 2.5}, "three": 3})
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, lambda line: b"garbage\n", "expected JSON"),
        (2, lambda line: b"\n", "expected JSON"),
        (2, lambda line: b"\xff\n", "expected JSON"),
        (3, lambda line: line.replace(b"2.5", b"NaN"), "NaN"),
        (3, lambda line: line.replace(b"2.5", b"1e999"), "1e999"),
        (3, lambda line: line.replace(b"2.5", b"2.6"), "checksum"),
        (3, lambda line: line.replace(b'{"x"', b'{"x": 1, "x"'), "duplicated"),
        (3, lambda line: line.replace(b'"two"', b'"six"'), "checksum"),
        (2, lambda line: line + line, "second time"),
        (4, lambda line: line[:10] + b"\n", "expected JSON"),
        (2, lambda line: b'{"key": "one"}\n', "fields"),
        (2, lambda line: b"[1]\n", "fields"),
        (1, lambda line: b"", "fields"),
        (1, lambda line: line.replace(b'"schema": 1', b'"schema": 2'), "schema"),
        (1, lambda line: line.replace(b'"schema": 1', b'"schema": true'), "schema"),
        (1, lambda line: line.replace(b"journal", b"diary"), "diary"),
    ],
)
def test_damage_is_reported_with_its_line(tmp_path: Path, number: int, change: Any, message: str) -> None:
    path = tmp_path / "journal.jsonl"
    lines = lines_of(path)
    changed = change(lines[number - 1])
    assert changed != lines[number - 1]
    content = b"".join([*lines[: number - 1], changed, *lines[number:]])
    path.write_bytes(content)
    with pytest.raises(StoredDataError, match=message) as caught:
        Journal(path, PRINT)
    shown = number + 1 if message == "second time" else number
    assert f"{path}, line {shown}:" in caught.value.problem
    assert str(path) in str(caught.value.hint)
    assert path.read_bytes() == content
    # The lock is free again.
    path.unlink()
    Journal(path, PRINT).close()


def test_another_fingerprint_starts_afresh_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    old = write(path, {"one": 1})
    for number in (1, 2):
        with Journal(path, {"torch": f"other-{number}"}) as journal:
            assert len(journal) == 0
            assert any(f"stale-{number}" in note for note in journal.notes)
            journal.append("one", number)
    assert (tmp_path / "journal.jsonl.stale-1").read_bytes() == old
    assert (tmp_path / "journal.jsonl.stale-2").exists()
    with Journal(path, {"torch": "other-2"}) as journal:
        assert (journal.notes, journal.get("one")) == ([], 2)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = (
        "import sys, pathlib\n"
        "from nanocheck.process.journal import Journal\n"
        "from nanocheck.core.errors import MachineError\n"
        "try:\n"
        "    Journal(pathlib.Path(sys.argv[1]), {})\n"
        "except MachineError as error:\n"
        "    print(error); raise SystemExit(error.exit_code)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    root = str(ROOT)
    with Journal(path, {}):
        held = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root})
        assert held.returncode == 3, held.stderr
        assert "in use by another" in held.stdout
        assert "hint:" in held.stdout
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": root})


def test_each_result_is_on_disk_before_append_returns(tmp_path: Path, synced: list[int]) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, PRINT) as journal:
        for number in range(3):
            journal.append(str(number), number)
            assert synced[-1] == path.stat().st_size


def test_several_results_are_on_disk_after_one_wait_or_none_is_written(
    tmp_path: Path, synced: list[int]
) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, PRINT) as journal:
        waits = len(synced)
        journal.append_all({"one": 1, "two": 2, "three": 3})
        assert len(synced) == waits + 1
        assert synced[-1] == path.stat().st_size
        before = path.read_bytes()
        for wrong in ({"four": 4, "two": 2}, {"five": 5, "six": float("nan")}):
            with pytest.raises(ValueError):
                journal.append_all(wrong)
        journal.append_all({})
        assert path.read_bytes() == before
        assert set(journal) == {"one", "two", "three"}
    assert read(path) == {"one": 1, "two": 2, "three": 3}


def test_the_same_key_is_not_written_twice(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl", PRINT) as journal:
        journal.append("one", 1)
        assert "one" in journal
        with pytest.raises(ValueError, match="one"):
            journal.append("one", 2)
    assert read(tmp_path / "journal.jsonl") == {"one": 1}


@pytest.mark.parametrize("data", [float("nan"), float("inf"), {1}, {"deep": [float("-inf")]}, 1 << 64])
def test_what_json_cannot_hold_is_not_written(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, PRINT) as journal:
        before = path.read_bytes()
        with pytest.raises((ValueError, TypeError)):
            journal.append("one", data)
        assert path.read_bytes() == before
        assert "one" not in journal


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write") as caught:
        Journal(tmp_path / "file" / "journal.jsonl", PRINT)
    assert caught.value.hint


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A file size limit stands for the disk; SIGXFSZ is ignored by Python, so the write fails."""
    path = tmp_path / "journal.jsonl"
    with Journal(path, PRINT) as journal:
        journal.append("one", 1)
        before = path.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        try:
            with pytest.raises(MachineError, match="cannot write"):
                journal.append("two", "x" * 100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
        journal.append("two", 2)
    assert read(path) == {"one": 1, "two": 2}


def test_discard_removes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, PRINT).discard()
    assert not path.exists()
