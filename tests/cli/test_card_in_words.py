"""``--card`` wherever ``--gpu`` is taken."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec
import pytest
from timed_runs import timed

from nanocheck import run
from nanocheck.cli import build_parser, main, options
from nanocheck.cli.plan import _cards
from nanocheck.core.described_card import DescribedCard
from nanocheck.core.errors import RequestError
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.request import Request
from nanocheck.report.run_file import RunFile

WORDS = "name=My card, memory=24GiB, like=rtx4090"


def parsed(*words: str) -> argparse.Namespace:
    return build_parser().parse_args(words)


@pytest.mark.parametrize("verb", ["run", "advise", "frontier", "plan"])
def test_every_verb_takes_it(verb: str) -> None:
    needed = ("--tokens-per-step", "8192") if verb == "advise" else ()
    card = options.card(parsed(verb, *needed, "--card", WORDS))
    assert card.gpu == "my-card"
    assert card.gpus == (DescribedCard(WORDS, "my-card"),)


def test_several_cards_stand_beside_the_catalogs() -> None:
    beside = options.card(parsed("run", "--gpu", "t4", "--card", WORDS, "--card", "name=b, like=t4"))
    assert beside.gpu == "t4,my-card,b"
    everything = options.card(parsed("run", "--gpu", "all", "--card", WORDS))
    assert everything.gpu == "all"
    planned = _cards(parsed("plan", "--gpu", "t4", "--card", WORDS))
    assert [gpu.id for gpu in planned] == ["t4", "my-card"]


def test_a_verb_for_one_card_refuses_two() -> None:
    with pytest.raises(RequestError, match="expected one card, found t4, my-card"):
        options.card(parsed("frontier", "--gpu", "t4", "--card", WORDS))


def test_the_same_is_asked_again_in_the_same_words() -> None:
    arguments = parsed("run", "--gpu", "t4", "--card", WORDS, "--", "python", "train.py")
    request = Request.of(arguments, options.card(arguments))
    assert request.options("my-card")[:2] == ["--card", WORDS]
    assert request.options("t4")[:2] == ["--gpu", "t4"]
    assert "--card" not in request.options("t4")


def test_a_slip_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--card", "memory=24", "--", "true"]) == 2
    assert "--card: memory: expected a size" in capsys.readouterr().err


def test_a_command_runs_on_it_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.py").write_text(
        "import torch\nheld = torch.zeros(2**30, dtype=torch.uint8, device='cuda')\n"
        "assert torch.cuda.get_device_name() == 'My card'\n"
    )
    monkeypatch.chdir(tmp_path)
    command = ["--device", "virtual", "--json", "r.json", "--", sys.executable, "t.py"]
    assert main(["run", "--card", WORDS, *command]) == 0
    found = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=RunFile)
    assert (found.result.device.gpu, found.result.device.name) == ("my-card", "My card")
    assert found.verdict.kind == "safe"
    assert any("--card" in note for note in found.result.notes)


def test_two_timed_runs_of_it_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stored result says no more of a card than its id."""
    monkeypatch.chdir(tmp_path)
    ran = timed(0.0005)
    ran = msgspec.structs.replace(ran, device=msgspec.structs.replace(ran.device, gpu="my-card"))
    for name in ("a.json", "b.json"):
        Path(name).write_bytes(msgspec.json.encode(RunFile.with_suggestions(JudgedRun.of(ran))))
    assert main(["compare", "a.json", "b.json"]) == 2
    assert "found 'my-card'" in capsys.readouterr().err
    assert main(["compare", "a.json", "b.json", "--card", WORDS, "--json", "c.json"]) == 0
    assert json.loads(Path("c.json").read_text())["gpu"] == "my-card"


def test_from_python_too() -> None:
    with pytest.raises(RequestError, match="memroy"):
        run([sys.executable, "-c", ""], card="memroy=24GiB")
