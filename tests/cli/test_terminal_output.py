"""What the verbs write to pipes and to terminals, as programs of their own.

That nothing of ``run``, ``advise`` and ``frontier`` is coloured in a pipe is said where they are run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_up import peaks, result
from made_up_recordings import CONFIG, recorded, recording, trace, with_loss
from paths import ROOT
from terminals import Screen, in_terminal, surroundings, uncoloured

from nanocheck.core.config import StepConfig
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import classify
from nanocheck.numerics.recording import dumps
from nanocheck.report import report_file
from nanocheck.report.report_file import Report, Row

NANOCHECK = [sys.executable, "-m", "nanocheck"]
VERBS = {
    "help": (["--help"], 0),
    "gpus": (["gpus"], 0),
    "a card": (["gpus", "rtx4070"], 0),
    "an error": (["gpus", "rtx9999"], 2),
    "recordings": (["compare", "before.json", "after.json"], 1),
    "reports": (["compare", "reports/a.json", "reports/b.json"], 1),
    "report": (["report", "a"], 0),
    "record": (["record", "new.json", "--force", "--device", "cpu", "--steps", "1"], 0),
}
#: Those that have anything to make stand out.
COLOURED = ("gpus", "a card", "recordings", "reports")
SCRIPT = """
import torch
model = torch.nn.Linear(2048, 2048).cuda()  # [red]not red[/red] :smile: \x1b[31m \u202e
optimizer = torch.optim.AdamW(model.parameters())
for step in range(50):
    model(torch.randn(64, 2048, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    print("[bold]step[/bold]", step, flush=True)
"""


def report(*results: RunResult) -> str:
    rows = tuple(Row(result=each, verdict=classify(each)) for each in results)
    return report_file.dumps(
        Report(date="2026-01-02", command="pytest suites/", margin_bytes=512 * MIB, rows=rows)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files for the verbs that read some."""
    found = tmp_path_factory.mktemp("verbs")
    name = "a [red]name[/red] \x1b[31m\u202e"
    before, after = recorded(trace(), name=name), recorded(with_loss(trace(), 1, 0.5), name=name)
    (found / "before.json").write_text(dumps(recording(before)))
    (found / "after.json").write_text(dumps(recording(after, torch="2.9.1")))
    (found / "reports").mkdir()
    small, large = result(StepConfig(batch=8)), result(StepConfig(batch=8), peaks=peaks(9000 * MIB))
    (found / "reports" / "a.json").write_text(report(small))
    (found / "reports" / "b.json").write_text(report(large))
    return found


def command(verb: str) -> list[str]:
    words = list(VERBS[verb][0])
    if verb == "record":
        own = {name: value for name, value in CONFIG.to_dict().items() if type(value) is int}
        words += [word for name, value in own.items() for word in ("--set", f"{name}={value}")]
        words += ["--set", "dtype=fp32"]
    return [*NANOCHECK, *words]


def piped(verb: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command(verb),
        capture_output=True,
        cwd=folder,
        env=surroundings(COLORTERM="truecolor", **environment),
        timeout=120,
        check=False,
    )
    assert done.returncode == VERBS[verb][1], done.stderr
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("verb", VERBS)
def test_a_pipe_gets_no_escape_sequence(verb: str, folder: Path) -> None:
    said = piped(verb, folder)
    assert said
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("verb", COLOURED)
@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_gets_colours_and_the_same_words(verb: str, columns: int, folder: Path) -> None:
    code, written = in_terminal(command(verb), columns=columns, cwd=folder)
    assert code == VERBS[verb][1]
    assert "\x1b[1m" in written
    screen = Screen(columns).show(written.replace("\r\n", "\n"))
    assert "\n".join(screen.lines).rstrip() == piped(verb, folder, COLUMNS=str(columns)).rstrip()
    assert not screen.cursor_is_hidden


@pytest.mark.parametrize(
    "environment",
    [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CI": "true"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}],
    ids=str,
)
def test_a_terminal_that_is_to_be_plain_is_plain(environment: dict[str, str], folder: Path) -> None:
    _, written = in_terminal(command("gpus"), environment=surroundings(**environment), cwd=folder)
    assert "\x1b" not in written
    assert "rtx4070" in written


def test_a_pipe_can_be_forced(folder: Path) -> None:
    forced = piped("gpus", folder, FORCE_COLOR="1", CI="true")
    assert "\x1b[1m" in forced
    lines = [line.rstrip() for line in uncoloured(forced).splitlines()]
    assert lines == piped("gpus", folder).splitlines()


def test_every_row_of_a_pipe_is_one_line(folder: Path) -> None:
    lines = piped("gpus", folder).splitlines()
    (line,) = [each for each in lines if each.startswith("rtxpro6000 ")]
    name = "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"
    assert line.split(maxsplit=1)[1].startswith(f"{name}  ")
    assert line.partition(name)[2].split() == ["12.0", "94.97", "95.59", "655", "1792", "504"]


def test_names_of_a_recording_are_shown_as_they_are(folder: Path) -> None:
    assert "moved     a [red]name[/red] \ufffd[31m\ufffd\n" in piped("recordings", folder)


def test_doctor_and_help_need_no_rich() -> None:
    """``-S``: nothing is installed."""
    for words in (["--help"], ["doctor"]):
        code, written = in_terminal(
            [sys.executable, "-S", "-m", "nanocheck", *words],
            environment=surroundings(PYTHONPATH=str(ROOT)),
            cwd=ROOT,
        )
        assert code == (3 if words == ["doctor"] else 0)
        assert "\x1b" not in written
        assert "Traceback" not in written


def test_a_run_is_coloured_on_its_terminal_only(tmp_path: Path) -> None:
    """The script's own output goes where it went; its source lines give no orders."""
    (tmp_path / "train.py").write_text(SCRIPT)
    with (tmp_path / "out").open("wb") as out:
        code, written = in_terminal(
            [*NANOCHECK, "run", "--json", "a.json", "--", sys.executable, "train.py"],
            columns=80,
            cwd=tmp_path,
            stdout=out,
        )
    assert code == 0, written
    assert (tmp_path / "out").read_text().startswith("[bold]step[/bold] 0\n[bold]step[/bold] 1\n")
    screen = Screen(80).show(written.replace("\r\n", "\n"))
    text = "\n".join(screen.lines)
    assert "nanocheck: \x1b[1;32mSAFE\x1b[0m: " in written
    assert "\nnanocheck: SAFE: " in text
    assert "\n\x1b[36mvirtual\x1b[0m on NVIDIA GeForce RTX 4070, linux; sizes in MiB" in written.replace(
        "\r", ""
    )
    assert "[red]not red[/red] :smile: \ufffd[31m \ufffd" in " ".join(text.split())
    peak = json.loads((tmp_path / "a.json").read_text())["result"]["processes"][0]["allocated_bytes"]
    assert f"{peak / MIB:,.2f}" in text.split()


def test_ctrl_c_leaves_the_answer_and_nothing_of_the_progress(tmp_path: Path) -> None:
    asked = []

    def typed(so_far: str) -> str:
        if "-eager: " not in so_far or asked:
            return ""
        asked.append(True)
        return "\x03"

    sizes = ["--n-layer", "2", "--n-head", "2", "--n-embd", "64", "--block-size", "64"]
    code, written = in_terminal(
        [*NANOCHECK, "frontier", "--device", "virtual", *sizes, "--methods", "eager"], typed=typed
    )
    assert code == 130, written
    assert "[0/1] 0:00 starting" in uncoloured(written)
    screen = Screen(80).show(written)
    text = "\n".join(screen.lines)
    assert "interrupted: nothing is known of what is missing" in text
    assert "[0/" not in text
    assert "^C" not in text
    assert not screen.cursor_is_hidden
