"""``nanocheck run`` as people type it: what it prints where, what it writes, how it ends."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from made_up import result
from terminals import surroundings
from time_limits import ended_where_it_waits

from nanocheck.cli import options
from nanocheck.cli import run as verb
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Ending, How
from nanocheck.core.units import GIB, MIB
from nanocheck.core.verdict import JudgedRun, Kind, Verdict
from nanocheck.measuring.command_environment import child_environment
from nanocheck.measuring.request import Request, parse_duration
from nanocheck.process import stack_dump
from nanocheck.report.console import as_text
from nanocheck.report.further_runs_text import every_card_blocks
from nanocheck.search.every_card import EveryCard

#: 64 MiB of weights, as much again for gradients, twice as much for AdamW, and activations by the batch.
TRAIN = """
import sys
import torch
batch = int(sys.argv[1].partition("=")[2])
model = torch.nn.Sequential(torch.nn.Linear(2048, 4096), torch.nn.Linear(4096, 2048)).cuda()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(50):
    model(torch.randn(batch, 2048, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    print("step", step, flush=True)
print("the script's own end")
"""


def nanocheck(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Into pipes, where nothing may be coloured."""
    done = subprocess.run(
        [sys.executable, "-m", "nanocheck", "run", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=surroundings(),
        timeout=300,
        check=False,
        **options,
    )
    assert "\x1b" not in done.stdout + done.stderr
    return done


@pytest.fixture
def train(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


def test_a_training_script_that_fits(train: Path) -> None:
    ran = nanocheck(
        "--check", "--json", "a.json", "--", sys.executable, "train.py", "--batch_size=64", cwd=train
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("step 0\nstep 1\n")
    assert "own end" not in ran.stdout
    lines = [line for line in ran.stderr.splitlines() if line.startswith("nanocheck: ")]
    assert "NVIDIA GeForce RTX 4070, virtual" in lines[0]
    assert "values read from this GPU are not computed" in lines[0]
    assert lines[1].startswith("nanocheck: SAFE: ")
    answer = json.loads((train / "a.json").read_text())
    assert (answer["result"]["provenance"], answer["result"]["ending"]["how"], answer["verdict"]["kind"]) == (
        "virtual",
        "answered",
        "safe",
    )
    (process,) = answer["result"]["processes"]
    held = sum(group["bytes"] for group in process["groups"])
    assert held == process["allocated_bytes"] > 256 * MIB
    assert f"{held / MIB:,.2f}" in ran.stderr


def test_out_of_memory_keeps_the_scripts_code_unless_checked(train: Path) -> None:
    command = ("--", sys.executable, "train.py", "--batch_size=400000")
    ran = nanocheck("--json", "a.json", *command, cwd=train)
    assert ran.returncode == 1
    assert "nanocheck: OOM: forward of step 0" in ran.stderr
    assert "torch.OutOfMemoryError" in ran.stderr
    answer = json.loads((train / "a.json").read_text())
    assert answer["verdict"]["kind"] == "oom"
    caught = TRAIN.replace(
        "for step", "try:\n  torch.empty(1 << 40, device='cuda')\nexcept Exception:\n  sys.exit(0)\nfor step"
    )
    (train / "train.py").write_text(caught)
    assert nanocheck(*command, cwd=train).returncode == 0


def test_full_runs_to_the_scripts_own_end_and_keeps_its_code(train: Path) -> None:
    (train / "train.py").write_text(TRAIN + "raise SystemExit(9)")
    ran = nanocheck("--full", "--", sys.executable, "train.py", "--batch_size=8", cwd=train)
    assert ran.stdout.endswith("the script's own end\n")
    assert ran.returncode == 9


@pytest.mark.slow
def test_the_batch_that_fits_is_found_by_running_it(train: Path) -> None:
    """2.1 GiB for PyTorch: 256 MiB for the model, and 512 MiB or more for each of the batch."""
    (train / "train.py").write_text(TRAIN.replace("torch.randn(batch,", "torch.randn(16384 * batch,"))
    options = ("--reserve", "9300MiB", "--margin", "0", "--suggest", "--json", "a.json")
    ran = nanocheck(*options, "--", sys.executable, "train.py", "--batch_size=3", cwd=train)
    found = json.loads((train / "a.json").read_text())["suggestions"]
    assert found["complete"]
    assert (found["batch_argument"], found["batch"]) == ("batch_size", 3)
    first, same, *others = found["runs"]
    assert (first["verdict"]["kind"], first["expandable"]) == ("oom", False)
    assert (same["batch"], same["expandable"]) == (3, True)
    plain = [row for row in others if not row["expandable"]]
    assert {row["provenance"] for row in found["runs"]} == {"virtual"}
    best = max(row["batch"] for row in plain if row["verdict"]["kind"] in ("safe", "tight"))
    worse = min(row["batch"] for row in [first, *plain] if row["verdict"]["kind"] == "oom")
    assert best + 1 == worse <= 3
    assert f"the largest batch_size that fits: {best} ({worse} does not)" in ran.stderr
    assert len(found["runs"]) <= 6


def test_every_card_gets_a_run(train: Path, tmp_path: Path) -> None:
    from nanocheck.core import gpus
    from nanocheck.search import every_card

    catalog = gpus.load_catalog()
    with pytest.MonkeyPatch.context() as patch:
        two = {name: catalog[name] for name in ("rtx4090", "rtx4070")}
        patch.setattr(gpus, "load_catalog", lambda _: two)
        patch.chdir(train)
        command = [sys.executable, "train.py", "--batch_size=300000"]
        found = every_card.on_every_card(request("--gpu", "all", command=command), lambda *_: None)
    assert (found.of_kind(Kind.SAFE), found.of_kind(Kind.OOM), found.no_answer) == (
        ("rtx4090",),
        ("rtx4070",),
        (),
    )
    assert [row.provenance for row in found.cards] == ["virtual", "virtual"]
    shown = as_text(every_card_blocks(found))
    assert "fits on: rtx4090\nout of memory on: rtx4070\n" in shown


def test_several_cards_with_the_time_of_a_step_and_a_page(train: Path) -> None:
    options = ("--gpu", "rtx4090", "--gpu", "rtx4070,t4", "--time", "--json", "a.json", "--html", "a.html")
    ran = nanocheck(*options, "--", sys.executable, "train.py", "--batch_size=64", cwd=train)
    assert ran.returncode == 0, ran.stderr
    found = msgspec.json.decode((train / "a.json").read_bytes(), type=EveryCard)
    rows = {row.gpu: row for row in found.cards}
    assert list(rows) == ["rtx4090", "t4", "rtx4070"]
    assert {name: row.time.recorded_on for name, row in rows.items() if row.time} == {
        "rtx4090": "rtx4090",
        "rtx4070": "rtx4090",
        "t4": "t4",
    }
    assert [each.gpu for each in found.recorded] == ["rtx4090", "t4"]
    for row in rows.values():
        assert row.time is not None
        assert row.time.estimate is not None
        assert (row.time.estimate.gpu, row.time.estimate.provenance) == (row.gpu, "modelled")
    assert "rtx4070" in (train / "a.html").read_text()
    one = nanocheck("--gpu", "all", "--suggest", "--", "x", cwd=train)
    assert (one.returncode, "expected one card for --suggest" in one.stderr) == (2, True)


def test_a_crash_on_the_first_cards_is_not_repeated_on_all(tmp_path: Path) -> None:
    ran = nanocheck("--gpu", "all", "--", sys.executable, "-c", "raise SystemExit(3)", cwd=tmp_path)
    assert ran.returncode == 1
    assert "found none on the first 3 cards" in ran.stderr


def test_a_command_without_a_gpu_keeps_its_output_and_code(tmp_path: Path) -> None:
    ran = nanocheck("--", "sh", "-c", "cat; echo beside >&2; exit 5", cwd=tmp_path, input="from a pipe\n")
    assert ran.stdout == "from a pipe\n"
    assert "\nbeside\n" in ran.stderr
    assert ran.returncode == 5


def test_the_time_limit_is_124_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(
        "import torch\nx = torch.zeros(1, device='cuda')\n"
        "held = torch.empty(2**31, dtype=torch.uint8, device='cuda')\n"
        "def wait_for_it():\n    while x.item() < 9:\n        open('there', 'w').close()\n"
        "wait_for_it()\n"
    )

    def run(limit: int) -> subprocess.CompletedProcess[str]:
        return nanocheck("--time-limit", f"{limit}s", "--", sys.executable, "t.py", cwd=tmp_path)

    ran = ended_where_it_waits(run, tmp_path / "there", 8)
    assert ran.returncode == 124
    assert "nanocheck: TIMEOUT" in ran.stderr
    assert "in wait_for_it" in ran.stderr.replace("\n", " ")
    assert re.search(r"peak allocated +2,048\.00", ran.stderr), "what was held until then"


def test_terminated_in_the_middle_it_tells_what_it_knows(train: Path) -> None:
    (train / "train.py").write_text(
        TRAIN.replace("optimizer.zero_grad()", "optimizer.zero_grad(); __import__('time').sleep(1)")
    )
    command = [sys.executable, "train.py", "--batch_size=8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nanocheck", "run", "--full", "--json", "a.json", "--", *command],
        cwd=train,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    while b"step 1" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    answer = json.loads((train / "a.json").read_text())
    assert answer["verdict"]["kind"] == "interrupted"
    assert answer["result"]["processes"][0]["allocated_bytes"] > 64 * MIB


# -- requests ---------------------------------------------------------------------------------------


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.prepare_parser(parser)
    return parser.parse_args(arguments)


def asked(*arguments: str) -> Request:
    found = parse(*arguments)
    return Request.of(found, options.card(found))


def request(*arguments: str, command: list[str] | None = None) -> Request:
    return asked(*arguments, "--", *(command or ["python", "train.py"]))


def test_what_follows_the_dashes_is_not_ours() -> None:
    found = request("--gpu", "t4", command=["python", "t.py", "--gpu", "x", "--", "--steps", "1"])
    assert found.command == ["python", "t.py", "--gpu", "x", "--", "--steps", "1"]
    assert (found.card.gpu, found.steps, found.time_limit_s) == ("t4", 3, 600)
    assert asked("--full", "python", "t.py", "--steps", "4").command == [
        "python",
        "t.py",
        "--steps",
        "4",
    ]


def test_the_options_ask_the_same_again() -> None:
    for given in (
        ["--gpu", "t4", "--reserve", "2GiB", "--margin", "1GiB", "--steps", "5", "--time-limit", "2h"],
        ["--cover", "save,eval", "--longest"],
        ["--sizes", "least"],
        ["--full", "--platform", "windows", "--device", "virtual", "--gpus", "/some/file.toml"],
    ):
        found = request(*given)
        assert request(*found.options()) == found
    assert request("--gpu", "all").options("t4")[:2] == ["--gpu", "t4"]


def test_cards_are_named_one_by_one_or_with_commas() -> None:
    for given in (["--gpu", "t4", "--gpu", "h100"], ["--gpu", "t4, h100"]):
        assert (request(*given).gpus, request(*given).asks_several) == (["t4", "h100"], True)
    assert (request("--gpu", "t4").gpus, request("--gpu", "t4").asks_several) == (["t4"], False)
    assert request().gpus == ["rtx4070"]
    assert request("--gpu", "all").asks_several


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "expected a command after --"),
        (["--steps", "0", "x"], "--steps: expected at least 1"),
        (["--steps", "4", "--full", "x"], "expected --steps or --full"),
        (["--cover", "eval", "--full", "x"], "expected --cover or --full"),
        (["--cover", "eval,sleep", "x"], "--cover: expected eval or save"),
        (["--cover", "", "x"], "--cover: expected eval or save"),
        (["--time-limit", "soon", "x"], "--time-limit: expected a duration"),
        (["--time-limit", "0", "x"], "--time-limit: expected a duration"),
        (["--reserve", "lots", "x"], "--reserve: expected a size"),
        (["--batch-arg", "b", "x"], "expected --suggest beside it"),
    ],
)
def test_requests_that_make_no_sense(arguments: list[str], expected: str) -> None:
    with pytest.raises(RequestError, match=expected):
        asked(*arguments)


def test_durations() -> None:
    texts = ("90", "90s", "1.5 min", "2h", "none")
    assert [parse_duration(text) for text in texts] == [90, 90, 90, 7200, None]


@pytest.mark.parametrize(
    ("kind", "how", "code", "plain", "checked"),
    [
        ("safe", "answered", 137, 0, 0),
        ("tight", "answered", 0, 0, 0),
        ("safe", "finished", 0, 0, 0),
        ("safe", "failed", 4, 4, 4),
        ("oom", "failed", 1, 1, 1),
        ("oom", "answered", 0, 0, 1),
        ("oom", "failed", 3, 3, 1),
        ("partial", "answered", 0, 0, 5),
        ("lost-work", "answered", 0, 0, 1),
        ("incomplete", "answered", 0, 0, 6),
        ("crashed", "finished", 0, 0, 6),
        ("timeout", "timeout", 124, 124, 124),
        ("interrupted", "interrupted", 130, 130, 130),
    ],
)
def test_exit_codes(kind: str, how: str, code: int, plain: int, checked: int) -> None:
    verdict = Verdict(kind=Kind(kind), process_bytes=0, headroom_bytes=None, sentence="")
    judged = JudgedRun(result=result(), margin_bytes=0, verdict=verdict)
    ending = Ending(how=How(how), exit_code=code)
    assert verb.exit_code(judged, ending, check=False) == plain
    assert verb.exit_code(judged, ending, check=True) == checked


# -- the child's environment ------------------------------------------------------------------------


def environment(kind: str, tmp_path: Path, **device: Any) -> dict[str, str]:
    base = {"PATH": "/bin", "PYTHONPATH": "/mine", "CUDA_VISIBLE_DEVICES": "3", "NANOCHECK_RUN_STEPS": "99"}
    card = Target(kind=kind, gpu=find_gpu("rtx4070"), **device)
    return child_environment(card, tmp_path, steps=7, cover=("eval", "save"), longest=True, base=base)


def test_the_environment_of_a_virtual_card(tmp_path: Path) -> None:
    found = environment("virtual", tmp_path)
    site, mine = found["PYTHONPATH"].split(os.pathsep)
    assert (Path(site) / "sitecustomize.py").is_file()
    assert mine == "/mine"
    assert found["PATH"].endswith("observe/bin:/bin")
    assert found["NANOCHECK_RUN"] == str(tmp_path)
    assert found["NANOCHECK_RUN_STEPS"] == "7"
    assert (found["NANOCHECK_RUN_COVER"], found["NANOCHECK_RUN_LONGEST"]) == ("eval,save", "1")
    assert found["NANOCHECK_RUN_SIZES"] == "worst"
    assert found["NANOCHECK_RUN_STACK_SIGNAL"] == str(stack_dump.SIGNAL)
    assert found["CUDA_VISIBLE_DEVICES"] == "0"
    assert "libcuda.so.1" in found["LD_PRELOAD"]
    assert "RTX 4070" in found["NANOCHECK_CARD"]
    assert "NANOCHECK_RUN_MEMORY_BYTES" not in found


def test_the_environment_of_a_real_card(tmp_path: Path) -> None:
    found = environment("real", tmp_path)
    assert found["PATH"] == "/bin"
    assert found["CUDA_VISIBLE_DEVICES"] == "3"
    assert not {"LD_PRELOAD", "NANOCHECK_CARD", "NANOCHECK_RUN_MEMORY_BYTES"} & found.keys()
    capped = environment("real", tmp_path, reserve_bytes=GIB, capped_from="NVIDIA H100")
    card = find_gpu("rtx4070")
    allowed = card.usable_bytes["linux"] - card.context_bytes - GIB
    assert capped["NANOCHECK_RUN_MEMORY_BYTES"] == str(allowed)
