"""The verbs themselves, on the virtual card: what is promised is what a script that takes the lines has."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from paths import CLIENTS
from terminals import surroundings

from nanocheck.cli import main

CLIENT = CLIENTS / "configured_gpt.py"
SMALL = ["--n-layer", "2", "--n-head", "2", "--n-embd", "128", "--block-size", "256", "--vocab-size", "50304"]
#: So much is used by other processes that a small model, too, meets the card's end.
FULL = ["--gpu", "rtx4070", "--device", "virtual", "--reserve", "9752MiB", "--margin", "256MiB"]


def nanocheck(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Into pipes, where nothing may be coloured."""
    done = subprocess.run(
        [sys.executable, "-m", "nanocheck", *arguments],
        capture_output=True,
        text=True,
        env=surroundings(),
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def advice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Eager only: a compiled step of it takes longer than all other tests of this file."""
    folder = tmp_path_factory.mktemp("advice")
    done = nanocheck(
        *("advise", *FULL, *SMALL, "--compile", "off", "--tokens-per-step", "16384"),
        *("--json", str(folder / "a.json"), "--html", str(folder / "a.html")),
        *("--journal", str(folder / "journal")),
    )
    found: dict[str, Any] = json.loads((folder / "a.json").read_text())
    return {**found, "stdout": done.stdout, "folder": folder}


def test_the_answer_is_printed_and_written(advice: dict[str, Any]) -> None:
    first = advice["recommendations"][0]
    assert first["run"]["provenance"] == "virtual"
    assert first["predicted"]["provenance"] == "computed"
    time = first["time"]
    assert (time["provenance"], time["gpu"]) == ("modelled", "rtx4070")
    assert time["seconds"] >= max(time["floor_operations"], time["floor_memory"]) > 0
    assert time["tokens_per_second"] == pytest.approx(16_384 / time["seconds"])
    assert first["batch"] * first["accumulation"] * 256 == 16_384
    assert f"    batch_size = {first['batch']}\n" in advice["stdout"]
    assert first["beyond"] is not None
    assert (advice["folder"] / "a.html").read_text().startswith("<!DOCTYPE html>")


def test_a_script_with_the_lines_has_the_promised_peak(advice: dict[str, Any], tmp_path: Path) -> None:
    first = advice["recommendations"][0]
    settings = tmp_path / "settings.py"
    settings.write_text("\n".join(first["settings"]["lines"]) + "\n")
    for line in first["settings"]["lines"]:
        ast.parse(line)
    out = tmp_path / "run.json"
    nanocheck("run", *FULL, "--json", str(out), "--", sys.executable, str(CLIENT), str(settings))
    ran = json.loads(out.read_text())
    assert ran["verdict"]["kind"] == "safe"
    peak = ran["result"]["processes"][0]
    assert peak["allocated_bytes"] == pytest.approx(first["run"]["allocated_bytes"], rel=0.005)
    assert peak["reserved_bytes"] == pytest.approx(first["run"]["reserved_bytes"], rel=0.03)


def test_what_is_in_the_journal_is_not_run_again(advice: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "nanocheck.measuring.configurations.Measurement._open", lambda self: pytest.fail("a run")
    )
    words = ["advise", *FULL, *SMALL, "--compile", "off", "--tokens-per-step", "16384"]
    assert main([*words, "--journal", str(advice["folder"] / "journal")]) == 0


def test_nothing_fits_is_exit_1_and_says_what_was_tried() -> None:
    done = nanocheck(
        *("advise", *FULL[:4], "--reserve", "11560MiB", *SMALL, "--compile", "off", "--dtype", "bf16"),
        *("--tokens-per-step", "16384"),
        code=1,
    )
    words = " ".join(done.stdout.split())
    assert "Nothing fits. The smallest that was run, gpt2-128-l2-h2-t256-b1-a64-bf16-eager" in words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["advise", "--tokens-per-step", "100"],
            "--tokens-per-step: expected at least one sequence of 1,024",
        ),
        (["advise", "--model", "gpt9", "--tokens-per-step", "4096"], "model: expected one of gpt2"),
        (["advise", "--gpu", "rtx9999", "--tokens-per-step", "4096"], "expected a GPU of the catalog"),
        (["advise", "--methods", "8bit", "--tokens-per-step", "4096"], "--change-script"),
        (["advise", "--top", "0", "--tokens-per-step", "4096"], "--top: expected at least 1"),
        (["advise", "--depth", "4", "--n-layer", "5", "--tokens-per-step", "4096"], "expected --depth or"),
        (["frontier", "--methods", "eager+magic"], "expected words joined by +"),
        (["frontier", "--depths", "12,x"], "--depths: expected numbers of layers"),
        (["frontier", "--most", "0"], "--most: expected at least 1"),
        (["frontier", "--accumulation", "0"], "accumulation: expected at least 1"),
    ],
)
def test_a_wrong_request_is_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--device", "virtual"]) == 2
    assert message in capsys.readouterr().err


def test_the_frontier_is_a_table_a_file_and_a_page(tmp_path: Path) -> None:
    done = nanocheck(
        *("frontier", *FULL, *SMALL, "--methods", "eager,eager+chunked-loss", "--accumulation", "2"),
        *("--json", str(tmp_path / "f.json"), "--html", str(tmp_path / "f.html")),
    )
    found = json.loads((tmp_path / "f.json").read_text())
    plain, chunked = (cell["largest"] for cell in found["cells"])
    assert chunked > plain > 0
    assert f"{plain} (" in done.stdout
    assert "eager+chunked-loss" in done.stdout
    assert '<svg class="heat"' in (tmp_path / "f.html").read_text()


def test_ctrl_c_tells_what_was_found_and_leaves_nothing_running(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "nanocheck",
                "frontier",
                *FULL,
                *SMALL,
                "--json",
                str(tmp_path / "f.json"),
            ),
            *(
                "--methods",
                "eager,eager+fp32,eager+foreach,eager+loop",
                "--journal",
                str(tmp_path / "journal"),
            ),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        journal = tmp_path / "journal"
        # A line for the environment and one for each run, of which the last may not be counted yet.
        if journal.exists() and len(journal.read_text().splitlines()) > 4:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "interrupted: nothing is known of what is missing" in stdout
    assert "Traceback" not in stderr
    found = json.loads((tmp_path / "f.json").read_text())
    assert not found["complete"]
    assert found["runs"] >= 3
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
