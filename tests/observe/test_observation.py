"""What the observer does to a script: nothing, except to end it when it has seen enough."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from observing import Seen, observe
from paths import ROOT

from nanocheck.core.result import Variable

#: A small honest training script; prints PyTorch's own peaks, as many scripts do.
TRAIN = """
    import atexit, os, sys, torch
    atexit.register(lambda: print("handlers ran", flush=True))
    torch.manual_seed(0)
    layers = torch.nn.Linear(512, 2048), torch.nn.GELU(), torch.nn.Linear(2048, 512)
    model = torch.nn.Sequential(*layers).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    try:
        for step in range(int(sys.argv[1])):
            model(torch.randn(256, 512, device="cuda")).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            print("step", step, flush=True)
            print("peak", torch.cuda.max_memory_allocated(), flush=True)
            print("reserved", torch.cuda.max_memory_reserved(), flush=True)
    finally:
        print("finally ran", flush=True)
"""


@pytest.fixture(scope="module")
def rested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Path]:
    """The script when its peak rested, and PyTorch's own snapshot that was asked for."""
    folder = tmp_path_factory.mktemp("rested")
    target = folder / "snapshot.pickle"
    return observe(TRAIN, folder, "1000", environment={"NANOCHECK_RUN_SNAPSHOT": str(target)}), target


def test_it_ends_when_the_peak_rests_and_lets_the_script_clean_up(rested: tuple[Seen, Path]) -> None:
    seen, _ = rested
    assert seen.ending.exit_code == 0, seen.stderr
    assert "finally ran" in seen.stdout
    assert "handlers ran" in seen.stdout
    assert seen.printed()["step"] == "2"
    answer = seen.judged()
    assert answer.result.ending.how == "answered"
    (process,) = answer.result.processes
    assert process.steps == 3
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert process.reserved_bytes == int(seen.printed()["reserved"])
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes
    assert list(process.phase_peaks()) == ["build", "forward", "backward", "optimizer"]
    groups = {row.group: row for row in process.groups}
    numbers = 512 * 2048 * 2 + 2048 + 512
    assert groups["parameters"].bytes == groups["gradients"].bytes == 4 * numbers
    assert groups["parameters"].count == 4
    assert groups["optimizer state"].bytes == 8 * numbers


def test_it_runs_to_the_end_when_asked_and_changes_no_byte(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    full = observe(TRAIN, tmp_path / "full", "6", steps=0)
    assert full.printed()["step"] == "5"
    answer = full.judged()
    assert answer.result.ending.how == "finished"
    assert answer.result.processes[0].steps == 6
    # The same without the observer: its variables are there, its folder is not on the path.
    (tmp_path / "alone").mkdir()
    alone = observe(TRAIN, tmp_path / "alone", "6", environment={"PYTHONPATH": ""})
    assert alone.processes() == []
    assert (alone.printed()["peak"], alone.printed()["reserved"]) == (
        full.printed()["peak"],
        full.printed()["reserved"],
    )


@pytest.mark.parametrize(
    ("ending", "code"),
    [("os._exit(7)", 7), ("os.kill(os.getpid(), 9)", 137)],
)
def test_whatever_the_end_what_was_seen_is_kept(ending: str, code: int, tmp_path: Path) -> None:
    script = TRAIN.replace('print("finally ran", flush=True)', ending)
    seen = observe(script, tmp_path, "2")
    assert seen.ending.exit_code == code
    answer = seen.judged()
    assert answer.result.ending.exit_code == code
    (process,) = answer.result.processes
    # A killed process wrote its last piece when its second step began; the others say everything.
    if code != 137:
        assert process.allocated_bytes == int(seen.printed()["peak"])
    assert process.allocated_bytes > 4 * 4 * 512 * 2048 * 2
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes
    assert answer.verdict.kind == "crashed"


OOM = """
    import torch
    kept = [torch.empty(3 << 30, dtype=torch.uint8, device="cuda") for _ in range(3)]
    def grow(rows):
        here = torch.empty(rows, 1 << 10, device="cuda")
        return torch.cat([here, here])
    {call}
    print("done 1")
"""


def test_an_oom_names_the_line_the_tensors_and_what_was_alive(tmp_path: Path) -> None:
    seen = observe(OOM.format(call="grow(1 << 19)"), tmp_path)
    answer = seen.judged()
    assert seen.ending.exit_code == 1
    assert answer.verdict.kind == "oom"
    oom = answer.result.processes[0].oom
    assert (oom.where, oom.line) == ("script.py:6", "return torch.cat([here, here])")
    assert oom.requested_bytes == 4 << 30
    assert oom.tensors == (Variable(name="here", shape=(1 << 19, 1 << 10), dtype="float32"),)
    assert sum(row.bytes for row in oom.groups) == 11 << 30
    assert oom.alive[0].bytes == 9 << 30
    assert oom.alive[0].count == 3
    assert oom.alive[0].where == "script.py:3"
    assert not oom.caught


def test_an_oom_that_the_script_survives_is_a_note(tmp_path: Path) -> None:
    call = "try: grow(1 << 19)\n    except torch.OutOfMemoryError: pass"
    answer = observe(OOM.format(call=call), tmp_path).judged()
    assert answer.verdict.kind == "lost-work"
    assert "caught it and went on" in answer.result.notes[0]


def test_phases_of_a_whole_cycle(tmp_path: Path) -> None:
    """Evaluation by ``eval()`` and ``train()``, accumulation by two backwards, a checkpoint at the end."""
    script = """
        import torch
        model = torch.nn.Linear(1024, 1024).cuda()
        optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
        for step in range(2):
            for _ in range(2):
                (model(torch.randn(64, 1024, device="cuda")).sum() / 2).backward()
            optimizer.step()
            optimizer.zero_grad()
            model.eval()
            with torch.no_grad():
                model(torch.randn(4096, 1024, device="cuda"))
            model.train()
            torch.save(model.state_dict(), "checkpoint.pt")
    """
    seen = observe(script, tmp_path, steps=0)
    (process,) = seen.judged().result.processes
    phases = [band.phase for band in process.timeline.bands]
    # torch.save copies from the card without asking it for memory: no event, no band of its own.
    assert set(phases) == {"build", "forward", "backward", "optimizer", "evaluation"}
    assert {band.step for band in process.timeline.bands} == {0, 1}
    assert phases.count("backward") == 4
    assert phases.count("evaluation") == 2
    peaks = {phase: allocated for phase, (allocated, _) in process.phase_peaks().items()}
    assert peaks["evaluation"] > 2 * 4096 * 1024 * 4 > peaks["forward"] - peaks["build"]


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_small_tensors(count: int, tmp_path: Path) -> None:
    script = f"""
        import torch
        kept = [torch.empty(100 + n % 900, dtype=torch.uint8, device="cuda") for n in range({count})]
        print("peak", torch.cuda.max_memory_allocated())
    """
    seen = observe(script, tmp_path)
    (process,) = seen.judged().result.processes
    assert process.allocated_bytes == int(seen.printed()["peak"])
    (row,) = [row for row in process.groups if row.count]
    assert row.count == count
    assert len(process.timeline.points) <= 1500


def test_a_script_that_records_memory_itself(tmp_path: Path) -> None:
    """Its snapshot is whole, and so is ours."""
    script = """
        import torch
        torch.cuda.memory._record_memory_history(max_entries=100)
        kept = [torch.empty(1 << 20, device="cuda") for _ in range(3)]
        torch.cuda.memory._dump_snapshot("own.pickle")
        torch.cuda.memory._record_memory_history(enabled=None)
        kept += [torch.empty(1 << 20, device="cuda") for _ in range(3)]
        print("peak", torch.cuda.max_memory_allocated())
    """
    seen = observe(script, tmp_path)
    own = pickle.loads((tmp_path / "own.pickle").read_bytes())
    assert sum(event["action"] == "alloc" for event in own["device_traces"][0]) == 3
    (process,) = seen.judged().result.processes
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert sum(row.count for row in process.groups) == 6


def test_pytorchs_own_snapshot(rested: tuple[Seen, Path]) -> None:
    snapshot = pickle.loads(rested[1].read_bytes())
    assert {"segments", "device_traces"} <= set(snapshot)
    made = [event for event in snapshot["device_traces"][0] if event["action"] == "alloc"]
    assert len(made) > 50
    assert any(frame["name"] == "forward" for event in made for frame in event["frames"])


def test_a_sitecustomize_of_the_users_still_runs(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('theirs 1')")
    script = "import sys; sys.path.insert(0, ''); print('done 1')"
    site = ROOT / "nanocheck" / "observe" / "site"
    seen = observe(script, tmp_path, environment={"PYTHONPATH": f"{site}:{own}"})
    assert seen.printed() == {"theirs": "1", "done": "1"}


def test_a_process_without_a_gpu_leaves_no_trace(tmp_path: Path) -> None:
    seen = observe("import torch; torch.ones(3).sum()", tmp_path)
    assert seen.processes() == []
    assert seen.judged().verdict.kind == "no-gpu"
