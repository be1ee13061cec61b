"""``nanocheck table`` on the virtual card, and the files it writes."""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from table_world import World, card

from nanocheck.cli import build_parser, main
from nanocheck.cli.table import _own_cards, _targets, _write
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import INTERRUPTED, MachineError, RequestError
from nanocheck.core.matrix import Entry
from nanocheck.core.result import Provenance
from nanocheck.core.table import dumps, load
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind
from nanocheck.tables.making import command, make

#: A matrix that a spreadsheet, a page and a terminal must show as it is.
MATRIX = """
[[group]]
name = "tiny | <b>"
why = "small enough for a test"
n_layer = 1
n_head = 2
n_embd = 128
block_size = 256
vocab_size = 1024
batch = [2, 3500]
"""


def test_ranks_have_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    """The model of time knows nothing of what ranks say to each other: it is refused before anything runs."""
    settings = ["--set", "ranks=2", "--set", "sharding=ddp"]
    assert main(["table", "--gpu", "2xrtx4090", "--time", *settings]) == RequestError.exit_code
    assert "gpt2-768-b8-a1-bf16-eager-r2-ddp" in capsys.readouterr().err


def test_a_table_and_its_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "matrix.toml").write_text(MATRIX)
    files = {each: tmp_path / f"table.{each}" for each in ("json", "md", "csv")}
    code = main(
        ["table", "--gpu", "rtx4070,rtx4070-laptop,rtx4090,t4", "--matrix", str(tmp_path / "matrix.toml")]
        + ["--time", "--prove", "4"]
        + [word for name, path in files.items() for word in (f"--{name}", str(path))]
    )
    assert code == 0
    table = load(files["json"])
    assert [card.gpu for card in table.cards] == ["rtx4070-laptop", "rtx4070", "t4", "rtx4090"]
    assert len(table.cells) == 8
    assert table.proof is not None
    assert (table.proof.sample, table.proof.differences) == (4, ())
    assert table.runs.total < len(table.cells)
    for cell in table.cells:
        assert cell.provenance is Provenance.VIRTUAL
        assert (cell.time is not None) == cell.verdict.fits
        if cell.time is not None:
            assert cell.time.provenance is Provenance.MODELLED
            assert cell.time.seconds > 0
    kinds = {(each.gpu, each.setting): each.verdict.kind for each in table.cells}
    assert {kind for (gpu, _), kind in kinds.items() if gpu == "rtx4090"} == {Kind.SAFE}
    assert Kind.OOM in kinds.values()
    frame = pd.read_csv(io.StringIO(files["csv"].read_text()))
    assert list(frame["peak reserved bytes"]) == [each.reserved_bytes for each in table.cells]
    assert list(frame["command"]) == [each.command for each in table.cells]
    page = files["md"].read_text()
    assert page.count("| NVIDIA GeForce RTX 4090 ") == 3  # the largest batch, and a row for each setting
    assert "8 cells" in capsys.readouterr().out


def test_one_setting_is_run_again_by_its_command(tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(MATRIX)
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    searched = ["--largest-batch", "--prove", "1"]
    matrix = ["--matrix", str(tmp_path / "matrix.toml")]
    assert main(["table", "--gpu", "rtx4070", *matrix, *searched, "--json", str(first)]) == 0
    table = load(first)
    cell = table.cells[0]
    assert cell.how.value == "derived"
    assert table.largest is not None
    assert table.largest.proof is not None
    assert (table.largest.proof.sample, table.largest.proof.differences) == (1, ())
    (largest,) = table.largest.found
    assert largest.safe is not None
    assert largest.beyond is not None
    assert 2 < largest.safe.batch < largest.beyond.batch < 3500
    assert largest.command == f"{cell.command} --largest-batch".replace("batch=2", f"batch={largest.batch}")
    assert main([*shlex.split(cell.command)[1:], "--largest-batch", "--json", str(again)]) == 0
    other = load(again)
    (own,) = other.cells
    assert own.how.value == "run"
    assert (own.verdict, own.allocated_bytes, own.reserved_bytes) == (
        cell.verdict, cell.allocated_bytes, cell.reserved_bytes
    )  # fmt: skip
    assert other.largest is not None
    assert [each.batch for each in other.largest.found] == [largest.batch]
    assert other.largest.runs.with_room == 0


def test_a_stored_table_is_searched_without_its_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked of it is checked before anything runs; only ways that were asked for are searched."""
    targets = [card("rtx4070", 46, 12_000)]
    configs = [StepConfig(batch=2), StepConfig(batch=2, dtype="fp32")]
    entries = [Entry(config=each, group="", why="") for each in configs]
    made, _ = make(entries, targets, world := World(lambda config, sms: 1_000 + 500 * config.batch))
    (tmp_path / "table.json").write_text(dumps(made))
    stored = ["table", "--table", str(tmp_path / "table.json")]
    assert main([*stored, "--largest-batch"]) == RequestError.exit_code
    assert "other figures of rtx4070" in capsys.readouterr().err
    assert main(stored) == RequestError.exit_code
    assert main([*stored, "--largest-batch", "--margin", "1"]) == RequestError.exit_code
    assert main([*stored, "--largest-batch", "--time"]) == RequestError.exit_code
    assert main([*stored, "--largest-batch", "--gpu", "t4"]) == RequestError.exit_code
    capsys.readouterr()

    @contextlib.contextmanager
    def measuring(*_: object, **__: object) -> Iterator[World]:
        yield world

    monkeypatch.setattr("nanocheck.cli.options.measuring", measuring)
    monkeypatch.setattr("nanocheck.tables.filling.Submits", lambda submit, wait: world)
    monkeypatch.setattr("nanocheck.cli.table._targets", lambda arguments: targets)
    before, out = len(world.asks), tmp_path / "out.json"
    words = [*stored, "--largest-batch", "--set", "batch=7", "--set", "dtype=fp32", "--json", str(out)]
    assert main(words) == 0
    found = load(out)
    assert found.cells == made.cells
    assert found.largest is not None
    assert {each.way for each in found.largest.found} == {made.settings[1].way}
    assert {each.config.dtype for each in world.asks[before:]} == {"fp32"}
    assert main([*words[:-4], "--set", "bias=true"]) == RequestError.exit_code
    assert "expected settings of the table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--gpu", "rtx4071"], "rtx4071"),
        (["--set", "batch=8", "--matrix", "x.toml"], "both"),
        (["--set", "batch=many"], "many"),
        (["--prove", "-1"], "-1"),
        (["--workers", "0"], "0"),
        (["--most-batch", "0"], "0"),
        (["--gpu", "h100", "--platform", "windows"], "windows"),
    ],
)
def test_mistakes_are_told(arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", *arguments]) == RequestError.exit_code
    assert found in capsys.readouterr().err


@pytest.mark.parametrize("option", ["json", "md", "csv"])
def test_what_cannot_be_written_is_told_before_anything_runs(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ran(*_: object, **__: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr("nanocheck.tables.making.make", ran)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "table"):
        assert main(["table", "--set", "batch=2", f"--{option}", str(path)]) == MachineError.exit_code
        assert str(path) in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_reader_that_leaves_costs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def left(*_: object) -> None:
        raise BrokenPipeError

    found, _ = make(
        [Entry(config=StepConfig(), group="", why="")], [card("a", 46, 24_000)], World(lambda *_: 1)
    )
    monkeypatch.setattr("nanocheck.report.console.show", left)
    # Between check and end somebody made a folder of the first; the others are written all the same.
    files = {each: tmp_path / f"table.{each}" for each in ("json", "md", "csv")}
    files["json"].mkdir()
    with pytest.raises(BrokenPipeError):
        _write(found, argparse.Namespace(**files))
    assert files["md"].read_text().startswith("# What fits")
    assert files["csv"].read_text().startswith("card,")


def test_a_card_in_words_has_them_in_its_command(tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(MATRIX.replace("[2, 3500]", "2"))
    out, words = tmp_path / "table.json", "name=My card, memory=24GiB, like=rtx4090"
    assert (
        main(["table", "--card", words, "--matrix", str(tmp_path / "matrix.toml"), "--json", str(out)]) == 0
    )
    (cell,) = load(out).cells
    assert cell.gpu == "my-card"
    assert shlex.split(cell.command)[2:5] == ["--card", words, "--run-all"]


def test_each_command_names_its_own_card_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cards in words, one whose figures a file changes, and one that is as it is packaged."""
    (tmp_path / "mine.toml").write_text(
        "[gpu.rtx4090]\nlinux_usable_mib = 23000\n[gpu.rtx4090.sources]\nlinux_usable_mib = 'a test'\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["name=One, memory=24GiB, like=rtx4080", "name=Two's, memory=8GiB, like=t4"]
    given = ["--gpus", "mine.toml", "--card", words[0], "--card", words[1], "--gpu", "rtx4070,rtx4090"]
    asked = build_parser().parse_args(["table", *given])
    own, targets = _own_cards(asked), {each.gpu.id: each for each in _targets(asked)}
    assert set(targets) == {"one", "two-s", "rtx4070", "rtx4090"}
    for gpu, target in targets.items():
        again = shlex.split(command(StepConfig(), target, DEFAULT_MARGIN_BYTES, own))
        (found,) = _targets(build_parser().parse_args(again[1:]))
        assert found == target, gpu


def test_of_all_cards_those_that_are_smaller_than_the_reserve_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def found(*words: str) -> list[str]:
        return [each.gpu.id for each in _targets(build_parser().parse_args(["table", *words]))]

    every, large = found(), found("--reserve", "6GiB")
    assert large == [each for each in every if each in large]
    assert 0 < len(large) < len(every)
    assert "gtx1650" in capsys.readouterr().err
    with pytest.raises(RequestError, match="gtx1650"):
        found("--gpu", "gtx1650,rtx4090", "--reserve", "6GiB")


def test_a_proof_that_is_interrupted_loses_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nanocheck.tables.proving.prove", interrupted)
    (tmp_path / "matrix.toml").write_text(MATRIX.replace("[2, 3500]", "2"))
    out = tmp_path / "table.json"
    arguments = ["table", "--gpu", "rtx4070", "--matrix", str(tmp_path / "matrix.toml"), "--prove", "1"]
    assert main([*arguments, "--json", str(out)]) == INTERRUPTED
    found = load(out)
    assert found.complete
    assert found.proof is None
    assert len(found.cells) == 1
