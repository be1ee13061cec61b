"""Claims of one's own, from the text of a file to verdicts on the virtual GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from paths import QUICK, ROOT

from nanocheck.claims.finding import Finding
from nanocheck.report import ledger

#: A model so small that a step takes no time, and still too large for the few MiB that are left.
MINE = """
from nanocheck.claims.claim import Note

NOTE = Note(title="Small ones", about="made up", gpu="rtx4070")
SMALL = {"n_layer": 1, "n_head": 2, "n_embd": 64, "block_size": 128, "vocab_size": 512, "batch": 4}
LONG = {**SMALL, "steps": 6, "gpu": "rtx4090"}


@NOTE.claim("S1", "a <small> model | fits", expected="confirmed", runs={"plain": SMALL, "long": LONG})
def small_things_fit(c):
    enough = c.said("enough", 100, "MiB")
    return c.decide(
        confirmed=c.plain.fits & (c.plain.allocated < enough),
        sentence=f"{c.plain.allocated} on {c.plain.card}, {c.long.allocated} on {c.long.card}.",
    )


@NOTE.claim("S2", "later steps need more", expected="refuted", runs={"long": LONG})
def the_long_run_grows(c):
    return c.decide(
        confirmed=c.long.last_step > c.long.third_step,
        refuted=(c.long.last_step == c.long.third_step) & (c.long.steps == 6) & (c.long.steady_from <= 3),
        sentence=f"All of {c.long.steps} steps peak alike.",
    )


CROWDED = {**SMALL, "reserve": "11692 MiB"}


@NOTE.claim("S3", "it fits a crowded card", expected="confirmed", runs={"tight": CROWDED})
def a_crowded_card_is_no_matter(c):
    some = c.said("some", 1, "B")
    return c.decide(
        confirmed=c.tight.fits,
        refuted=~c.tight.fits & (c.tight.asked >= some),
        sentence={"confirmed": "It does.", "refuted": f"It {c.tight.ending}."},
    )
"""


def run(
    folder: Path, text: str, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Finding]]:
    claims = folder / "suites" / "claims"
    claims.mkdir(parents=True)
    (claims / "test_mine.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "nanocheck.pytest_plugin.plugin",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "suites/claims", "--device", "virtual", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{QUICK}:{ROOT}", "PYTEST_ADDOPTS": ""},
        timeout=300,
        check=False,
    )
    found = ledger.load(folder / "reports" / "claims-rtx4070.json")
    assert found is not None, done.stdout
    return done, {each.id: each for each in found.findings}


def test_a_file_of_ones_own_is_judged_by_running_it(tmp_path: Path) -> None:
    done, found = run(tmp_path, MINE)
    assert done.returncode == 1, done.stdout  # S3 is not what its file expects
    assert "3 claims: 1 confirmed, 2 refuted; ledger: reports/claims-rtx4070.md" in done.stdout
    assert "S3: expected the verdict confirmed, found refuted: It runs out of memory in its" in done.stdout
    assert [each.verdict for each in found.values()] == ["confirmed", "refuted", "refuted"]
    assert [each.as_expected for each in found.values()] == [True, True, False]
    assert {each.provenance for each in found.values()} == {"virtual"}
    assert found["S1"].sentence.endswith("on NVIDIA GeForce RTX 4090.")
    assert found["S2"].sentence == "All of 6 steps peak alike."
    (asked,) = [each for each in found["S3"].figures if each.name == "tight.asked"]
    assert asked.how.endswith("on NVIDIA GeForce RTX 4070 with 11,692.00 MiB used by other processes")
    page = (tmp_path / "reports" / "claims-rtx4070.md").read_text()
    assert "a &lt;small&gt; model &#124; fits" in page
    assert "virtual_gpu" in page


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "add-a-claim.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip()]
    assert len(lines) <= 10
    done, found = run(tmp_path, example, "-k", "X1")
    assert done.returncode == 0, done.stdout
    assert found["X1"].verdict == "refuted"
    assert re.fullmatch(r"Batch 8 reserves 1[12]\.[0-9] GB, not 10 GB\.", found["X1"].sentence)
