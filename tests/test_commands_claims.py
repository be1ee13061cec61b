"""``nanocheck claims``: a claim file of one's own, from its text to a verdict on the virtual GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nanocheck.claims import data, markdown, page
from nanocheck.claims.files import load_ledgers
from nanocheck.claims.judging import find_all
from nanocheck.cli import main
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu

#: A model so small that a step takes no time, and still too large for the few MiB that are left.
SMALL = "n_layer = 1\nn_head = 2\nn_embd = 64\nblock_size = 128\nvocab_size = 512\nbatch = 4\n"
MINE = f"""
[ledger]
title = "Small ones"
about = "made up"
gpu = "rtx4070"
[run.plain]
{SMALL}
[run.long]
{SMALL}steps = 6
gpu = "rtx4090"
[run.crowded]
{SMALL}reserve = "11440 MiB"
[claim.S1]
title = "small things fit"
says = "a <small> model | fits"
expected = "confirmed"
confirmed_if = "plain.fits and plain.allocated < 100 * MiB"
refuted_if = "not plain.fits"
[claim.S1.quote]
confirmed = "{{plain.allocated}} on {{plain.card}}, {{long.allocated}} on {{long.card}}."
[claim.S2]
title = "the long run grows"
says = "later steps need more"
expected = "refuted"
confirmed_if = "long.last_step > long.third_step"
refuted_if = "long.last_step == long.third_step and long.steps == 6 and long.steady_from <= 3"
[claim.S2.quote]
refuted = "All of {{long.steps}} steps peak alike."
[claim.S3]
title = "a crowded card is no matter"
says = "it fits a crowded card, too"
expected = "confirmed"
confirmed_if = "crowded.fits"
refuted_if = "not crowded.fits and crowded.asked > 0 * B"
[claim.S3.quote]
confirmed = "It does."
refuted = "It {{crowded.ending}}."
"""


def nanocheck(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nanocheck", "claims", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        timeout=300,
        check=False,
    )


def test_a_file_of_ones_own_is_judged_by_running_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    outputs = [f"--{kind}={tmp_path / f'out.{kind}'}" for kind in ("json", "md", "html")]
    done = nanocheck("--file", "mine.toml", "--device", "virtual", "--check", *outputs, folder=tmp_path)
    assert done.returncode == 1, done.stderr  # S3 is not what its file expects
    assert "3 claims: 1 confirmed, 2 refuted, asked of NVIDIA GeForce RTX 4070, Linux" in done.stdout
    assert "it fits a crowded card, too (expected: confirmed)" in done.stdout
    answer = json.loads((tmp_path / "out.json").read_text())
    (ledger,) = answer["ledgers"]
    found = {claim["id"]: claim for claim in ledger["claims"]}
    assert [claim["verdict"] for claim in ledger["claims"]] == ["confirmed", "refuted", "refuted"]
    assert [claim["same"] for claim in ledger["claims"]] == [True, True, False]
    assert {claim["provenance"] for claim in ledger["claims"]} == {"virtual"}
    assert found["S1"]["sentence"].endswith("on NVIDIA GeForce RTX 4090.")
    assert found["S2"]["sentence"] == "All of 6 steps peak alike."
    assert "It runs out of memory in its" in found["S3"]["sentence"]
    (crowded,) = [each for each in found["S3"]["figures"] if each["name"] == "crowded.asked"]
    assert "of which others hold 11,440.00 MiB" in crowded["how"]
    assert answer["environment"]["virtual_gpu"]
    assert markdown.render(answer) == (tmp_path / "out.md").read_text()
    assert page.render(answer) == (tmp_path / "out.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--file", "gone.toml"], "gone.toml"),
        (["X9"], "choose among A1, A2"),
        (["A1", "--gpu", "rtx9999"], "rtx9999"),
        (["A1", "--reserve", "much"], "--reserve"),
    ],
)
def test_a_wrong_request(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", *arguments, "--device", "virtual"]) == 2
    assert told in capsys.readouterr().err


def test_the_exit_code_is_about_what_was_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "A1", "B9", "--device", "virtual", "--check"]) == 0
    assert "2 claims: 1 refuted, 1 cannot tell" in capsys.readouterr().out
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(
        '[ledger]\ntitle = "t"\nabout = "a"\n[claim.W1]\ntitle = "t"\nsays = "s"\nexpected = "confirmed"\n'
        'refuted_if = "1 < 2"\n[claim.W1.quote]\nconfirmed = "c"\n'
    )
    arguments = ["claims", "--file", str(wrong), "--device", "virtual"]
    assert (main(arguments), main([*arguments, "--check"])) == (0, 1)


def test_arithmetic_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom nanocheck.cli import main\n"
        "code = main(['claims', 'A1', 'A8', 'B3', 'B9', '--device', 'virtual', '--html', 'out.html'])\n"
        "print(code, {'torch', 'pandas', 'pytest'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "0 set()"
    assert (tmp_path / "out.html").stat().st_size > 10_000


# --- pages -------------------------------------------------------------------------------------------------

NASTY = "<script>alert(1)</script> | `x` * [a](b) \u202e & \x07"


def spoiled(value: Any) -> Any:
    """The same answer with a text in it that wants out of its place."""
    if isinstance(value, dict):
        return {
            key: each if key in ("verdict", "provenance", "expected") else spoiled(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [spoiled(each) for each in value]
    return NASTY if isinstance(value, str) else value


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    """The whole built-in ledger, nothing run."""
    device = Target(kind="virtual", gpu=find_gpu("rtx4070"))
    found = find_all(load_ledgers(), lambda _: {}, device)
    plain = [data.finding_to_plain(ledger, finding) for ledger, findings in found for finding in findings]
    return data.to_plain(
        plain, device=device, command="nanocheck claims", date="2026-11-22", environment={"torch": "2.14.1"}
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                assert (value or "").startswith("#")
                self.targets.append((value or "")[1:])


def test_the_page_is_whole_and_fetches_nothing(answer: dict[str, Any]) -> None:
    tags = Tags()
    tags.feed(page.render(answer))
    assert not tags.seen & {"script", "img", "link", "iframe", "object", "form"}
    assert len(set(tags.ids)) == len(tags.ids) == 18
    assert sorted(tags.targets) == sorted(tags.ids)


def test_a_stored_ledger_is_written_again(
    answer: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = tmp_path / "claims-rtx4070.json"
    stored.write_text(data.dumps(answer))
    assert main(["report", "--reports", str(tmp_path)]) == 0
    assert stored.with_suffix(".md").read_text() == markdown.render(answer)
    for damage in ({"schema": 99}, {"ledgers": [{}]}, {"ledgers": 3}):
        stored.write_text(data.dumps({**answer, **damage}))
        assert main(["report", "--reports", str(tmp_path)]) == 4
        assert "hint: run the suite again" in capsys.readouterr().err


@pytest.mark.parametrize("render", [markdown.render, page.render], ids=["markdown", "page"])
def test_every_verdict_sentence_and_source_stands_in_it(
    answer: dict[str, Any], render: Callable[[Any], str]
) -> None:
    text = render(answer)
    assert "18 claims: 1 confirmed, 9 refuted, 8 cannot tell" in text.replace("Claims ledger: ", "")
    # Once among all verdicts, once with its figures.
    assert text.count("1.648 GB, not 1.54 GB; 1.54 is its size in GiB") == 2
    for word in ("run1000.sh", "lzwjava/zz training log", "IEEE 754 binary16", "1,099,367,920", "B9"):
        assert word in text
    assert render(answer) == text


@pytest.mark.parametrize("render", [markdown.render, page.render], ids=["markdown", "page"])
def test_no_text_gets_out_of_its_place(answer: dict[str, Any], render: Callable[[Any], str]) -> None:
    spoiled_answer = {**spoiled(answer), "counts": answer["counts"], "device": answer["device"]}
    text = render(spoiled_answer)
    body = text.partition("## To reproduce")[0]
    assert "<script>" not in body
    assert "\u202e" not in body
    if render is markdown.render:
        tables = [line for line in body.splitlines() if line.startswith("| ")]
        assert len(tables) > 100
        assert {line.count("|") for line in tables} <= {5, 6}
