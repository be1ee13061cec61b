"""Files of strangers: whatever is in them, they are read or refused, and never end in a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hostile_files import attempt, readers
from hypothesis import given
from hypothesis import strategies as st
from made_up_recordings import recording

from nanocheck.cli import main
from nanocheck.core import matrix
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.matrix import MAX_CONFIGURATIONS, load_matrix
from nanocheck.core.strict_text import DEEPEST, parse_json, parse_toml
from nanocheck.core.units import MOST_BYTES, parse_size
from nanocheck.measuring.request import parse_duration
from nanocheck.numerics import recording as recordings

READERS = readers()


@pytest.mark.parametrize("word", READERS)
def test_what_is_right_is_read(word: str, tmp_path: Path) -> None:
    """Else the changed files below would be refused for another reason than their change."""
    path = tmp_path / READERS[word].name
    path.write_bytes(READERS[word].text)
    READERS[word].use(path)


@pytest.mark.parametrize("word", READERS)
def test_changed_files_are_read_or_refused(word: str, tmp_path: Path) -> None:
    """2,000 of each: ``python tests/helpers/hostile_files.py``."""
    found = {seed: attempt(READERS[word], seed, tmp_path) for seed in range(40)}
    assert {seed: said for seed, said in found.items() if said not in ("read", "refused")} == {}
    # What was written beside a script that may have died is read leniently.
    assert word in ("stack", "observed") or "refused" in found.values()


# -- numbers and nesting ----------------------------------------------------------------------------


@given(st.integers(-(1 << 70), 1 << 70))
def test_integers_of_64_bits_are_read_and_others_refused(number: int) -> None:
    inside = -(1 << 63) <= number < 1 << 64
    for parse, text in ((parse_json, f'{{"a": [{number}]}}'), (parse_toml, f"a = [{number}]".encode())):
        if inside:
            assert parse(text)["a"] == [number]  # type: ignore[arg-type]
        else:
            with pytest.raises(ValueError, match="64 bits"):
                parse(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", ["1" + "0" * 5000, "0x" + "f" * 5000, "0b" + "1" * 20000])
def test_numbers_that_python_cannot_print_are_refused(number: str) -> None:
    with pytest.raises(ValueError):
        parse_toml(f"a = {number}".encode())


@given(st.integers(1, 3 * DEEPEST))
def test_nesting_has_an_end(depth: int) -> None:
    text = "[" * depth + "]" * depth
    if depth <= DEEPEST:
        assert json.dumps(parse_json(text)) == text
        return
    with pytest.raises(ValueError, match="deep"):
        parse_json(text)
    with pytest.raises(ValueError, match="deep"):
        parse_toml(f"a = {text}".encode())


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"a":' * 100_000, "[" * 200_000 + "]" * 200_000])
def test_nesting_that_no_parser_survives(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@given(st.integers(0, 10**6000) | st.integers(0, 1 << 60), st.sampled_from(["", "B", "GiB", "GB", "k"]))
def test_a_size_is_within_what_a_card_can_have(count: int, unit: str) -> None:
    try:
        digits = str(count)
    except ValueError:  # more than Python prints
        digits = "9" * 6000
    try:
        found = parse_size(digits + unit)
    except RequestError as error:
        found, said = None, str(error)
    assert len(said) < 300 if found is None else 0 <= found <= MOST_BYTES


@pytest.mark.parametrize("text", ["9" * 400, "9" * 5000 + "h", "1e9", "0s", "-1s"])
def test_a_duration_is_within_what_a_clock_can_wait(text: str) -> None:
    with pytest.raises(RequestError, match="expected a duration"):
        parse_duration(text)


# -- what the attack found --------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> int:
    """The exit code of a verb that must say in few words what is wrong."""
    code = main(words)
    said = capsys.readouterr()
    assert "expected" in said.err or "not TOML" in said.err or "malformed" in said.err
    assert len(said.err) < 2000
    return code


@pytest.mark.parametrize("number", ["1" + "0" * 5000, "1" + "0" * 400, "0x" + "f" * 5000, str((1 << 63) - 1)])
def test_a_matrix_of_endless_numbers(number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "matrix.toml"
    for key in ("n_layer", "batch", "seed", "memory_budget"):
        path.write_text(f'[[configuration]]\nwhy = "x"\n{key} = {number}\n')
        if (key, number) == ("seed", str((1 << 63) - 1)):
            assert load_matrix(path).configs[0].seed == int(number)
            continue
        assert refused(capsys, "record", str(tmp_path / "r.json"), "--matrix", str(path)) == 2


@pytest.mark.parametrize("value", ['["gpt2"]', "{a = 1}", "1979-05-27", "[[[]]]", "nan"])
@pytest.mark.parametrize("key", ["model", "n_layer", "dtype", "bias", "window", "why", "group"])
def test_a_matrix_with_another_type(key: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    why = "" if key == "why" else 'why = "x"\n'
    path.write_text(f"[[configuration]]\n{why}{key} = {value}\n")
    with pytest.raises(RequestError, match=key):
        load_matrix(path)


def test_the_limit_of_a_matrix_is_that_of_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """108,000 configurations in a file of 700 kB took 78 seconds: those beyond the limit are not made."""
    made = []

    def make(*settings: Any) -> StepConfig:
        made.append(settings)
        return StepConfig()

    monkeypatch.setattr(matrix, "_config", make)
    path = tmp_path / "matrix.toml"
    group = '[[group]]\nname = "g{0}"\nbatch = [{1}]\nn_layer = [{2}]\nseed = {0}\n'
    axes = ", ".join(map(str, range(1, 71))), ", ".join(map(str, range(1, 101)))
    path.write_text("\n".join(group.format(number, *axes) for number in range(100)))
    with pytest.raises(RequestError, match=f"{MAX_CONFIGURATIONS} configurations in a file, found 14000"):
        load_matrix(path)
    assert len(made) == 7000
    single = '[[configuration]]\nwhy = "x"\nseed = {}\n'
    path.write_text("\n".join(single.format(number) for number in range(MAX_CONFIGURATIONS + 1)))
    with pytest.raises(RequestError, match=f"found {MAX_CONFIGURATIONS + 1}"):
        load_matrix(path)
    assert len(made) == 7000


def changed(tmp_path: Path, change: Any) -> Path:
    """A recording with something else in it."""
    data = json.loads(recordings.dumps(recording()))
    change(data)
    path = tmp_path / "recording.json"
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("value", [10**400, 10**4000, "nan", "inf", 1e308, None, [], {"a": 1}])
@pytest.mark.parametrize("where", ["sketch", "norm", "loss", "error", "grad_norm"])
def test_a_recording_with_such_a_figure(
    value: Any, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(data: Any) -> None:
        run = data["runs"][0]
        parameter = next(iter(run["trace"]["parameters"]["2"].values()))
        if where == "sketch":
            parameter["sketch"][0] = value
        elif where == "norm":
            parameter["norm"] = value
        elif where == "error":
            run["error"]["loss"] = value
        else:
            run["trace"]["steps"][1][where] = value

    path = changed(tmp_path, change)
    whole = tmp_path / "whole.json"
    whole.write_text(recordings.dumps(recording()))
    code = main(["compare", str(whole), str(path)])
    capsys.readouterr()
    if (value == 1e308 and where in ("loss", "grad_norm", "error")) or (value, where) in (
        ("nan", "sketch"),
        ("inf", "sketch"),
    ):
        assert code in (0, 1)  # a number like another; and how a recording writes one that is none
    else:
        assert code == 4
