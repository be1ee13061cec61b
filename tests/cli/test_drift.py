"""``nanocheck drift``, from the command line; its runs are made up here, see ``drift/test_runs.py``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from made_up import device, environment, peaks, result
from made_up_requests import log_of

from nanocheck.cli import main
from nanocheck.core.device import CardsAlike
from nanocheck.core.drift import Drift, schema_of_file
from nanocheck.core.errors import INTERRUPTED, MachineError, RequestError
from nanocheck.core.request_log import RequestLog
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.drift.environments import Environments
from nanocheck.drift.interpreters import Interpreter
from nanocheck.drift.runs import Asked, Ran, Runs
from nanocheck.virtual.installed_torch import InstalledTorch

RELEASES = ("2.9.1+cu128", "2.11.0+cu130", "2.12.1+cu130")
ASK = ("drift", "--torch", "2.12,2.9,2.11", "--device", "virtual", "--set", "batch=8")
#: Logs whose reserved peaks differ by one segment of 24 MiB, by the order of equal free blocks alone.
PROGRAM = [24 * MIB, 8 * MIB, 24 * MIB, -1, -3, 20 * MIB, -2, 24 * MIB, 24 * MIB]

Answer = Callable[[Asked], Ran]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[Asked]]:
    """Three releases, and what comes out of each instead of a run."""

    def pythons(self: Environments, wanted: Iterable[str]) -> list[Interpreter]:
        assert set(wanted) == {"2.9", "2.11", "2.12"}
        return [
            Interpreter(
                program=Path(sys.executable),
                python="3.11.7",
                torch=InstalledTorch(Path("torch"), version, "13.0"),
            )
            for version in RELEASES
        ]

    asked: list[Asked] = []

    def answered_by(answer: Answer) -> list[Asked]:
        def results(self: Runs, every: Iterable[Asked]) -> Iterator[tuple[Asked, Ran]]:
            for each in reversed(list(every)):  # they finish in any order
                asked.append(each)
                yield each, answer(each)

        monkeypatch.setattr(Environments, "all", pythons)
        monkeypatch.setattr(Runs, "results", results)
        return asked

    return answered_by


def ran(asked: Asked, *, reserved: int = 9000 * MIB) -> Ran:
    """A run on the release and the card that were asked for."""
    run = result(
        asked.subject.config,
        peaks=peaks(reserved=reserved),
        environment=environment(torch=asked.python.torch.version),
        device=device(gpu=asked.subject.request.card.gpu),
    )
    return Ran(run=JudgedRun.of(run))


def odd(asked: Asked) -> Ran:
    """The last release reserves one segment more."""
    last = asked.python.torch.version == RELEASES[-1]
    return ran(asked, reserved=9000 * MIB + last * 24 * MIB)


def test_nothing_moved_is_well(
    answers: Callable[[Answer], list[Asked]], capsys: pytest.CaptureFixture[str]
) -> None:
    answers(ran)
    assert main(ASK) == 0
    assert "nothing moved: 1 row, 3 releases" in capsys.readouterr().out


def test_what_moved_is_named_and_fails(
    answers: Callable[[Answer], list[Asked]], capsys: pytest.CaptureFixture[str]
) -> None:
    answers(odd)
    assert main([*ASK, "--json", "drift.json", "--md", "drift.md"]) == 1
    said = capsys.readouterr().out
    assert "torch 2.11.0 -> 2.12.1: reserved +24.00 MiB" in said
    assert "9,024.00 (+24.00!)" in said
    found = msgspec.json.decode(Path("drift.json").read_bytes(), type=Drift)
    assert [each.torch for each in found.releases] == list(RELEASES)
    ((_, move),) = found.moved()
    assert (move.before, move.after, move.reserved_bytes) == (*RELEASES[1:], 24 * MIB)
    page = Path("drift.md").read_text()
    assert "torch 2.11.0 -&gt; 2.12.1: reserved +24.00 MiB" in page
    assert "9,024.00 (+24.00!)" in page


@pytest.mark.parametrize(("above", "code"), [("23MiB", 1), ("24MiB", 0), ("1GiB", 0)])
def test_smaller_moves_can_be_let_through(
    answers: Callable[[Answer], list[Asked]], above: str, code: int
) -> None:
    answers(odd)
    assert main([*ASK, "--fail-above", above]) == code


def test_each_card_and_each_configuration_is_a_row(answers: Callable[[Answer], list[Asked]]) -> None:
    Path("matrix.toml").write_text('[[group]]\nname = "two"\nbatch = [1, 2]\n')
    asked = answers(ran)
    words = ("drift", "--torch", "2.9,2.11,2.12", "--device", "virtual", "--matrix", "matrix.toml")
    assert main([*words, "--gpu", "rtx4070,rtx4090", "--json", "drift.json"]) == 0
    found = msgspec.json.decode(Path("drift.json").read_bytes(), type=Drift)
    assert [(row.name, row.gpu) for row in found.rows] == [
        (f"gpt2-768-b{batch}-a1-bf16-eager", gpu) for gpu in ("rtx4070", "rtx4090") for batch in (1, 2)
    ]
    assert len({each.key for each in asked}) == len(asked) == 12


def test_a_release_without_an_answer_is_no_success(
    answers: Callable[[Answer], list[Asked]], capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(asked: Asked) -> Ran:
        middle = asked.python.torch.version == RELEASES[1]
        return Ran(failed="there is no wheel in /home/somebody/wheels") if middle else ran(asked)

    answers(lost)
    assert main([*ASK, "--json", "drift.json"]) == 6
    said = capsys.readouterr().out
    assert "torch 2.11.0: no answer: there is no wheel" in said
    assert "somebody" not in said + Path("drift.json").read_text()
    # Its neighbours are held against each other.
    answers(lambda asked: lost(asked) if asked.python.torch.version == RELEASES[1] else odd(asked))
    assert main(ASK) == 1
    assert "torch 2.9.1 -> 2.12.1: reserved +24.00 MiB" in capsys.readouterr().out


def test_ctrl_c_shows_what_there_is(
    answers: Callable[[Answer], list[Asked]], capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(asked: Asked) -> Ran:
        if asked.python.torch.version == RELEASES[0]:
            raise KeyboardInterrupt
        return odd(asked)

    answers(interrupted)
    assert main([*ASK, "--json", "drift.json"]) == INTERRUPTED
    assert "interrupted" in capsys.readouterr().out
    assert json.loads(Path("drift.json").read_text())["complete"] is False


def test_the_requests_of_both_say_why(answers: Callable[[Answer], list[Asked]]) -> None:
    logs = {version: log_of(PROGRAM, "address") for version in RELEASES}
    logs[RELEASES[-1]] = log_of([*PROGRAM, 24 * MIB], "address")

    def told(asked: Asked) -> Ran:
        log = logs[asked.python.torch.version]
        found = ran(asked, reserved=log.reserved_bytes)
        return msgspec.structs.replace(found, requests=log.packed())

    answers(told)
    assert main([*ASK, "--json", "drift.json"]) == 1
    ((_, move),) = msgspec.json.decode(Path("drift.json").read_bytes(), type=Drift).moved()
    more = sum((each.after_count - each.before_count) * each.segment_bytes for each in move.segments)
    assert more == move.reserved_bytes > 0
    assert [each.where for each in move.segments] == [f"train.py:{len(PROGRAM) + 1}"]


def two_ranks(asked: Asked, reserved: tuple[int, int], log: RequestLog | None = None) -> Ran:
    """A run of two ranks of the release that was asked for, a card each."""
    run = result(environment=environment(torch=asked.python.torch.version))
    made = [
        msgspec.structs.replace(result(peaks=peaks(reserved=size)).main, pid=rank, rank=rank, card=rank)
        for rank, size in enumerate(reserved)
    ]
    run = msgspec.structs.replace(
        run,
        processes=tuple(sorted(made, key=lambda each: -each.reserved_bytes)),
        world=2,
        machine=(CardsAlike(cards=2, device=device()),),
    )
    return Ran(run=JudgedRun.of(run), requests="" if log is None else log.packed())


MACHINE = ("drift", "--torch", "2.9,2.11,2.12", "--gpu", "2xrtx4070", "--json", "drift.json")


def test_each_rank_on_a_machine_is_a_row(
    answers: Callable[[Answer], list[Asked]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Compared with itself, also where another one is the fullest; requests are those of one rank."""
    logs = {version: log_of(PROGRAM, "address") for version in RELEASES}
    logs[RELEASES[-1]] = log_of([*PROGRAM, 24 * MIB], "address")

    def moved(asked: Asked) -> Ran:
        version = asked.python.torch.version
        log = msgspec.structs.replace(logs[version], rank=1)
        more = version == RELEASES[1]
        return two_ranks(asked, (8000 * MIB + more * 3000 * MIB, log.reserved_bytes), log)

    asked = answers(moved)
    assert main([*MACHINE, "--md", "drift.md", "--", "torchrun", "train.py"]) == 1
    assert {each.subject.request.card.gpu for each in asked} == {"2xrtx4070"}
    first, second = msgspec.json.decode(Path("drift.json").read_bytes(), type=Drift).rows
    assert [(each.rank, each.gpu, each.card) for each in (first, second)] == [
        (rank, "2xrtx4070", device().name) for rank in (0, 1)
    ]
    assert [each.reserved_bytes for each in first.moves] == [3000 * MIB, -3000 * MIB]
    assert not any(each.segments for each in first.moves)
    assert all(any("rank 1" in note for note in each.notes) for each in first.moves)
    (move,) = second.moves
    more = sum((each.after_count - each.before_count) * each.segment_bytes for each in move.segments)
    assert more == move.reserved_bytes > 0
    assert not any("rank" in note for note in move.notes)
    for text in (capsys.readouterr().out, Path("drift.md").read_text()):
        assert "torchrun train.py, rank 0" in text
        assert "torchrun train.py, rank 1" in text


def test_a_release_without_an_answer_has_none_of_any_rank(answers: Callable[[Answer], list[Asked]]) -> None:
    def lost(asked: Asked) -> Ran:
        version = asked.python.torch.version
        return Ran(failed="no wheel") if version == RELEASES[1] else two_ranks(asked, (MIB, MIB))

    answers(lost)
    assert main([*MACHINE, "--", "torchrun", "train.py"]) == 6
    rows = msgspec.json.decode(Path("drift.json").read_bytes(), type=Drift).rows
    assert [[cell.is_answer for cell in row.cells] for row in rows] == [[True, False, True]] * 2


def test_configurations_on_a_machine_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MACHINE, "--set", "batch=8"]) == RequestError.exit_code
    assert "--gpu 2xrtx4070: expected one card" in capsys.readouterr().err
    assert main([*ASK, "--ranks", "all"]) == RequestError.exit_code
    assert "--ranks: expected a command" in capsys.readouterr().err


HOSTILE = "python ::error::x ##[error]y \x1b[2J|`<script>alert(1)</script>\u202egpj"


def test_what_a_user_typed_is_shown_and_does_nothing(
    answers: Callable[[Answer], list[Asked]], capsys: pytest.CaptureFixture[str]
) -> None:
    def hostile(asked: Asked) -> Ran:
        found = odd(replace(asked, subject=replace(asked.subject, config=None)))
        return found if asked.python.torch.version != RELEASES[0] else Ran(failed=HOSTILE)

    answers(hostile)
    words = ("drift", "--torch", "2.9,2.11,2.12", "--device", "virtual", "--md", "drift.md")
    assert main([*words, "--", "sh", HOSTILE]) == 1
    for text in (capsys.readouterr().out, Path("drift.md").read_text()):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "##[" not in text
        assert "\n::" not in text
    page = Path("drift.md").read_text()
    assert "<script>" not in page
    assert all(line.count("|") in (0, 5) for line in page.splitlines())


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--torch", "2.9,2.11"), "expected a command after --"),
        (("--torch", "2.9,2.11", "--set", "batch=1", "--", "python"), "more than one"),
        (("--torch", "newest", "--set", "batch=1"), "versions of PyTorch"),
        (("--torch", "2.9,2.11", "--full", "--set", "batch=1"), "--full"),
        (("--torch", "2.9,2.11", "--set", "bach=1"), "unknown field"),
        (("--torch", "2.9,2.11", "--gpu", "rtx1", "--set", "batch=1"), "rtx1"),
        (("--torch", "2.9,2.11", "--workers", "0", "--set", "batch=1"), "--workers"),
        (("--torch", "2.9,2.11", "--fail-above", "much", "--set", "batch=1"), "--fail-above"),
        (("--torch", "2.9,2.11", "--no-install", "--environments", ".", "--set", "batch=1"), "--no-install"),
        (("--python", "/nowhere/python", "--set", "batch=1"), "expected a Python"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(
    words: tuple[str, ...], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drift", "--device", "virtual", *words]) == RequestError.exit_code
    assert what in capsys.readouterr().err


def test_an_environment_that_cannot_be_made_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Environments, wanted: Iterable[str]) -> list[Interpreter]:
        raise MachineError("no route to the index")

    monkeypatch.setattr(Environments, "all", refuse)
    assert main(ASK) == MachineError.exit_code


def test_the_schema_names_every_field() -> None:
    schema = schema_of_file()
    assert set(schema["$defs"]["Drift"]["required"]) >= {"rows", "releases", "asked"}
