"""Every file that nanocheck reads, and what is done with what was read.

Each changed file is read, or refused by an error of ours:

python tests/helpers/hostile_files.py                     # 2,000 changed files for each reader
python tests/helpers/hostile_files.py report --inputs 50000 --first 123456
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import resource
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import made_up
import msgspec
from made_up_exports import changed, compared, several_cards, side, small_table
from made_up_journal import made_up_journal
from made_up_recordings import recorded, recording, trace, with_loss
from made_up_verification import CASES, FakeSide, begun, measured, observed, of_rows
from mutations import mutate
from paths import ROOT

from nanocheck.attribution.command_result import command_result
from nanocheck.attribution.event_reader import read
from nanocheck.cli.gpus import figures
from nanocheck.cli.verify import exit_code
from nanocheck.core import baselines
from nanocheck.core.comparison import compare as compare_with
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import NanocheckError
from nanocheck.core.files import read_typed
from nanocheck.core.gpus import load_catalog
from nanocheck.core.matrix import load_matrix
from nanocheck.core.result import Band, Ending, Group, Holding, How, Moment, Timeline
from nanocheck.core.run_diff import RunDiffs
from nanocheck.core.verdict import JudgedRun, Kind, classify
from nanocheck.numerics import compare, golden
from nanocheck.numerics import recording as recordings
from nanocheck.numerics.language.distances import load_distances
from nanocheck.numerics.rounding_errors import load_rounding_errors
from nanocheck.numerics.trace import COMPARED
from nanocheck.process.journal import Journal
from nanocheck.process.stack_dump import innermost
from nanocheck.report import (
    ci_summary,
    diff,
    diff_text,
    html,
    ledger,
    ledger_markdown,
    memory_report,
    numerics_text,
    report_file,
    run_file,
    terminal,
    verified_table,
    verify_text,
)
from nanocheck.report.console import as_text
from nanocheck.report.export import bencher, github_benchmark, openmetrics, sarif, stored
from nanocheck.report.html import ledger_page, verify_page
from nanocheck.verify import predictions, record
from nanocheck.verify.cases import CASES as CASES_FILE
from nanocheck.verify.cases import load_cases
from nanocheck.verify.verification import Clock, predict

_LOSS = sorted((ROOT / "baselines" / "loss").glob("*.json"))[0]
_MOST_MEMORY_BYTES = 4 << 30
_FINGERPRINT = {"torch": "2.14"}
_STACK = b"""Thread 0x01 (most recent call first):
  File "/home/x/train.py", line 12 in step
  File "/usr/lib/python3.11/runpy.py", line 3 in <module>
"""


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: of the file. text: of one that is right.
        use: reads it, and does with it what the verbs do.
    """

    name: str
    text: bytes
    use: Callable[[Path], object]


def _matrix(path: Path) -> object:
    return [(config.id, config.parameters, config.to_dict()) for config in load_matrix(path).configs]


def _catalog(path: Path) -> object:
    return [figures(gpu) for gpu in load_catalog([path]).values()]


def _baseline(path: Path) -> object:
    found = baselines.load(path)
    return baselines.dumps(found), compare_with(made_up.result(), found)


def _recording(path: Path) -> object:
    found, other = recordings.load(path), recording(recorded(with_loss(trace(), 1, 1e-3)))
    for pair in ((found, other), (other, found), (found, found)):
        rendered = numerics_text.render(compare.compare(*pair), ("a", "b"))
        json.dumps(rendered.plain, allow_nan=False)
        as_text(rendered.blocks, 80)
    return recordings.dumps(found)


def _report(path: Path) -> object:
    found = report_file.load(path)
    other = _small_report()
    for pair in ((found, other), (other, found), (found, found)):
        rendered = diff_text.render(diff.compare(*pair), ("a", "b"))
        json.dumps(rendered.plain, allow_nan=False)
        as_text(rendered.blocks, 80)
    page = memory_report.render(found)
    return report_file.dumps(found), ci_summary.job_summary(found, page), ci_summary.annotate(found.rows)


def _run(path: Path) -> object:
    found = run_file.load(path)
    return as_text(terminal.render(found)), html.render(found)


def _export(path: Path) -> object:
    """In every format; a text of numbers refuses to be empty."""
    runs = stored.unique(stored.load(path))
    found = [sarif.render(runs, path.parent), openmetrics.render(runs)]
    for render in (github_benchmark.smaller, github_benchmark.bigger, bencher.render):
        try:
            found.append(render(runs))
        except NanocheckError as error:
            if error.exit_code != 1:
                raise
    return found


def _ledger(path: Path) -> object:
    found = ledger.load(path)
    if found is None:
        return None
    return ledger_markdown.render(found), ledger_page.render(found), ledger.section(found, "page.md").render()


def _curves(path: Path) -> object:
    config = StepConfig.from_dict(json.loads(_LOSS.read_text())["config"])
    found = golden.load_golden(path, config)
    assert found is not None
    here = dict.fromkeys((*COMPARED, "python"), "cpu 2.14")
    expected = found.expected(here)
    long = trace([5.0] * 64)
    return (
        golden.curve_problem(long, expected.golden, expected.loss, expected.grad_norm),
        [each.slope_problem(long) for each in found.curves],
        [each.canary_problem(long) for each in found.curves],
        found.with_curve(found.curves[0]),
    )


def _distances(path: Path) -> object:
    return [each.room for each in load_distances(path).values()]


def _rounding(path: Path) -> object:
    return [each.rounding_error.to_dict() for each in load_rounding_errors(path).values()]


def _journal(path: Path) -> object:
    with Journal(path, _FINGERPRINT) as journal:
        return [journal.get(key) for key in journal]


def _answer(path: Path) -> object:
    """What a further run of a command wrote."""
    found = read_typed(path, JudgedRun, what="a run", schema=run_file.SCHEMA, hint="run it again")
    return as_text(terminal.render(found))


def _observed(path: Path) -> object:
    """What a process under observation wrote, and all that is made of it."""
    ending = Ending(how=How.FAILED, exit_code=1)
    seen = read(path.parent)
    found = command_result(
        path.parent, seen, command=["x"], device=made_up.DEVICE, ending=ending, seconds=1.0
    )
    judged = JudgedRun.of(found)
    return as_text(terminal.render(judged)), html.render(judged)


def _stack(path: Path) -> object:
    return innermost(path.read_text(errors="replace"))


def _verification(path: Path) -> object:
    found = record.load(path)
    tables = verified_table.verified({path.name: found}), verified_table.stand_ins({path.name: found})
    return as_text(verify_text.render(found, [])), verify_page.render(found), tables, exit_code(found)


def _predictions(path: Path) -> object:
    """With a hash that fits: nobody who changes a file would leave the old one."""
    text = path.read_text(errors="replace")
    with contextlib.suppress(ValueError, RecursionError):  # else it is what it is
        plain = json.loads(text)
        text = json.dumps({"sha256": predictions.digest(plain), "predictions": plain})
    path.write_text(text, errors="replace")
    found = predictions.load(path.parent)
    assert found is not None
    return as_text(verify_text.predicted(found, found.sha256, "x")), [found.find(each) for each in CASES[:1]]


def _predicted() -> bytes:
    done = predict(CASES, FakeSide(lambda _: observed()), clock=Clock(8), show=lambda *_: None)
    file = begun()
    found = predictions.Predictions(
        date=file.date,
        gpu=file.gpu,
        virtual_card=file.virtual_card,
        context_least_bytes=file.context_least_bytes,
        context_most_bytes=file.context_most_bytes,
        environment=file.environment,
        predictions=done,
    )
    return msgspec.json.encode(found)


def _judged() -> JudgedRun:
    held = Holding(
        bytes=512, count=2, group="activations", where="/a/train.py:3", line="x = y", shape=(2, 64)
    )
    moment = Moment(phase="backward", step=1, where="/a/train.py:3", line="loss.backward()")
    timeline = Timeline(
        groups=("parameters", "activations"),
        points=((0, 2048, 512, 0), (5, 4096, 512, 1024)),
        bands=(Band(phase="forward", step=0, first=0, last=5),),
    )
    groups = (Group(group="parameters", bytes=512, count=1), Group(group="activations", bytes=1024, count=2))
    found = made_up.oom_result(
        at=moment, groups=groups, largest=(held,), timeline=timeline, command=("python",)
    )
    return JudgedRun.of(msgspec.structs.replace(found, config=None))


def _small_report() -> report_file.Report:
    results = (
        made_up.result(),
        made_up.oom_result(StepConfig(batch=16)),
        made_up.result(StepConfig(batch=2), outcome="crashed", detail="it died"),
    )
    rows = tuple(
        report_file.Row(result=each, verdict=classify(each), comparison=compare_with(each, None), why="why")
        for each in results
    )
    return report_file.Report(date="2026-01-02", command="pytest suites/", margin_bytes=1 << 29, rows=rows)


def _made_journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal")
        with Journal(path, _FINGERPRINT) as journal:
            for number in range(3):
                journal.append(f"key {number}", {"peak": number, "name": "x", "more": [1.5, None, "y"]})
        return path.read_bytes()


def _made_baseline() -> bytes:
    results = (made_up.result(), made_up.oom_result(StepConfig(batch=16)))
    expected = {each.id: baselines.Expected.of(each) for each in results}
    return baselines.dumps(baselines.Baseline.header_of(results[0], expected)).encode()


def _some_cards() -> bytes:
    """Of the catalog, the capabilities and the first cards."""
    cards = ROOT / "nanocheck" / "core" / "cards"
    text = "\n".join((cards / f"{each}.toml").read_text() for each in ("capabilities", "geforce-40"))
    starts = [each.start() for each in re.finditer(r"^\[gpu\.[\w-]+\]$", text, re.MULTILINE)]
    return text[: starts[2]].encode()


def readers() -> dict[str, Reader]:
    """Every reader, by a word."""
    run = run_file.RunFile.with_suggestions(_judged())
    plain = json.dumps(msgspec.to_builtins(run)).encode()
    matrix = (ROOT / "suites" / "memory" / "matrix.toml").read_bytes()
    kept = json.loads((ROOT / "reports" / "claims-rtx4070.json").read_text())
    verification = of_rows((measured(), observed()), (measured(), observed(reserved_bytes=7)), (None, None))
    both = compared(side(1 << 30), side(2 << 30), changed("train.py:3", "x = y", 0, 1 << 30))
    diffs = RunDiffs(before="a", after="b", diffs=(both,), worse=True, moved=True)
    cards = msgspec.json.encode(several_cards(Kind.SAFE, Kind.OOM))
    kept["notes"] = [{**note, "claims": note["claims"][:2]} for note in kept["notes"]]
    return {
        "matrix": Reader("matrix.toml", matrix, _matrix),
        "gpus": Reader("gpus.toml", _some_cards(), _catalog),
        "baseline": Reader("baseline.json", _made_baseline(), _baseline),
        "recording": Reader("recording.json", recordings.dumps(recording()).encode(), _recording),
        "report": Reader("report.json", report_file.dumps(_small_report()).encode(), _report),
        "run": Reader("run.json", plain, _run),
        "exported report": Reader("report.json", report_file.dumps(_small_report()).encode(), _export),
        "exported run": Reader("run.json", plain, _export),
        "exported comparison": Reader("diff.json", msgspec.json.encode(diffs), _export),
        "exported table": Reader(
            "table.json", msgspec.json.encode(small_table(Kind.SAFE, Kind.OOM)), _export
        ),
        "exported cards": Reader("cards.json", cards, _export),
        "further": Reader("further.json", plain, _answer),
        "ledger": Reader("ledger.json", json.dumps(kept).encode(), _ledger),
        "curves": Reader("curves.json", _LOSS.read_bytes(), _curves),
        "distances": Reader(
            "d.json", (ROOT / "baselines" / "language" / "distances.json").read_bytes(), _distances
        ),
        "spreads": Reader("spreads.json", (ROOT / "baselines" / "spreads.json").read_bytes(), _rounding),
        "journal": Reader("journal", _made_journal(), _journal),
        "observed": Reader("1-a.jsonl", made_up_journal(), _observed),
        "stack": Reader("stack-1.txt", _STACK, _stack),
        "verification": Reader("verify.json", msgspec.json.encode(verification), _verification),
        "predictions": Reader(predictions.FILE, _predicted(), _predictions),
        "cases": Reader("cases.toml", CASES_FILE.read_bytes(), load_cases),
    }


def attempt(reader: Reader, seed: int, folder: Path) -> str:
    """How a reader takes one changed file: ``read``, ``refused``, or a traceback."""
    path = folder / reader.name
    path.write_bytes(mutate(reader.text, seed))
    try:
        reader.use(path)
    except NanocheckError as error:
        return "refused" if error.exit_code in (2, 3, 4) else traceback.format_exc()
    except Exception:
        return traceback.format_exc()
    finally:
        for each in folder.iterdir():
            each.unlink()
    return "read"


def _kind(problem: str) -> str:
    """The exception and the line of ours that it came from."""
    lines = problem.strip().splitlines()
    ours = [line.strip() for line in lines if "/nanocheck/" in line]
    return f"{lines[-1].partition(':')[0]}, {ours[-1] if ours else lines[1].strip()}"


def main() -> int:
    # A number that is taken for a count must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    every = readers()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", choices=[*every, []], help="all by default")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    arguments = parser.parse_args()
    failed = 0
    for word in arguments.readers or every:
        since = time.monotonic()
        counts, kinds = Counter[str](), dict[str, tuple[int, str]]()
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(arguments.first, arguments.first + arguments.inputs):
                found = attempt(every[word], seed, Path(folder))
                counts[found if found in ("read", "refused") else "tracebacks"] += 1
                if found not in ("read", "refused"):
                    kinds.setdefault(_kind(found), (seed, found))
        failed += counts["tracebacks"]
        numbers = ", ".join(f"{counts[each]} {each}" for each in ("read", "refused", "tracebacks"))
        print(f"{word}: {arguments.inputs} inputs: {numbers}; {time.monotonic() - since:.0f} s", flush=True)
        for kind, (seed, problem) in kinds.items():
            print(f"  input {seed}: {kind}\n{problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
