"""What ``nanocheck run --time`` costs beside the answer about memory alone. Nothing is asserted.

    python benchmarks/recording.py              # every program, medians of 5 runs each way
    python benchmarks/recording.py trainer --runs 3

Runs with and without it take turns. Seconds are those of the processor, of all processes together (another
program on the machine hardly moves them), and of the wall. Of what is added, the steps that are timed and the
recorded one are the program's own work and counted by this host's step; the rest is recording and reading.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from nanocheck.report.run_file import load

HERE = Path(__file__).parent
CLIENTS = HERE.parent / "tests" / "clients"
PROGRAMS = {
    "GPT-2 124M, eager": [str(HERE / "train_gpt2.py"), "--batch", "4", "--steps", "60"],
    "GPT-2 124M, compiled before": [
        str(HERE / "train_gpt2.py"),
        "--batch",
        "4",
        "--steps",
        "60",
        "--compile",
    ],
    "a script that measures itself": [str(CLIENTS / "measures.py"), "--steps", "60"],
    "transformers Trainer": ["TRAINER", "OUT"],
}


def run(words: list[str], folder: Path, *options: str) -> tuple[float, float, float | None, int]:
    """Seconds of the wall and of the processor to the answer; this host's step, and how many were timed."""
    answer = folder / "answer.json"
    verb = [sys.executable, "-m", "nanocheck", "run", "--gpu", "rtx4070", "--json", str(answer), *options]
    began, before = time.perf_counter(), os.times()
    subprocess.run([*verb, "--", sys.executable, *words], check=True, capture_output=True, cwd=folder)
    wall, after = time.perf_counter() - began, os.times()
    used = sum(after[2:4]) - sum(before[2:4])
    host = load(answer).result.main.host_time
    return (wall, used, None, 0) if host is None else (wall, used, host.median_s, len(host.seconds))


def row(title: str, words: list[str], runs: int) -> dict[str, object]:
    """Of one program."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trainer = folder / "trainer.py"
        trainer.write_text((CLIENTS / "hf_trainer.py").read_text().replace("steps=3", "steps=60"))
        places = {"TRAINER": str(trainer), "OUT": str(folder / "out")}
        words = [places.get(each, each) for each in words]
        run(words, folder, "--time")  # caches
        plain, timed = [], []
        for _ in range(runs):
            plain.append(run(words, folder))
            timed.append(run(words, folder, "--time"))
    wall, used = (statistics.median(each[at] for each in plain) for at in (0, 1))
    more = [statistics.median(each[at] for each in timed) - base for at, base in ((0, wall), (1, used))]
    step = statistics.median(each[2] for each in timed if each[2] is not None)
    steps = round(statistics.median(each[3] for each in timed)) + 1
    return {
        "program": title,
        "answer s": f"{wall:.1f}",
        "processor s": f"{used:.1f}",
        "--time adds": f"{more[0]:+.1f} ({more[0] / wall:+.0%})",
        "of the processor": f"{more[1]:+.1f} ({more[1] / used:+.0%})",
        "steps more": f"{steps} of {step:.2f} s",
        "beside them": f"{more[0] - steps * step:+.1f} ({(more[0] - steps * step) / wall:+.0%})",
    }


def main() -> None:
    """Every program whose name holds the word."""
    parser = argparse.ArgumentParser()
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    rows = [row(title, words, asked.runs) for title, words in PROGRAMS.items() if asked.word in title.lower()]
    print(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
