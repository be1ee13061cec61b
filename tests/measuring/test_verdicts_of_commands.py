"""A verdict is never better than what happened: each of these programs once was *safe* or *tight*."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from paths import CLIENTS

from nanocheck.core.result import How, ObservationEnd, Recovery
from nanocheck.core.units import MIB
from nanocheck.core.verdict import MEANINGS, Kind
from nanocheck.report.run_file import RunFile, load

#: 16 MiB of weights; some steps of AdamW.
TRAIN = """
import os, signal, sys, time
import torch

def train(steps=6, width=2048):
    layer = torch.nn.Linear(width, width).cuda()
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    for _ in range(steps):
        layer(torch.zeros(64, width, device="cuda")).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

def hold(gib):
    return torch.empty(int(gib * 2**30), dtype=torch.uint8, device="cuda")

"""
#: 9 GiB by the CUDA runtime, as a library beside PyTorch takes them.
BESIDE = """
import ctypes
torch.cuda.init()
got = ctypes.c_void_p()
assert ctypes.CDLL(None).cudaMalloc(ctypes.byref(got), ctypes.c_size_t(9 << 30)) == 0
train()
"""
#: The second asks while the first has its 7 GiB, and dies of it once the first has its answer.
TWO = """
import glob
import torch.multiprocessing as mp
def wait_for(name):
    while not glob.glob(name):
        time.sleep(0.01)
def work(rank):
    if rank:
        wait_for("asked-0")
    try:
        held = hold(7)
        open(f"asked-{rank}", "w").close()
    except torch.OutOfMemoryError:
        open(f"asked-{rank}", "w").close()
        wait_for(os.environ["NANOCHECK_RUN"] + "/answered-*")
        raise
    wait_for("asked-1")
    train(30)
if __name__ == "__main__":
    mp.spawn(work, nprocs=2)
"""
LATE = """
import torch.multiprocessing as mp
def work(rank):
    if rank:
        time.sleep(25)
        held = hold(8)
    train()
if __name__ == "__main__":
    mp.spawn(work, nprocs=2)
"""
#: NCCL is answered for one rank.
UNANSWERED = """
import ctypes
ctypes.CDLL(None).cusparseSpGEMM_compute()
"""
SPAWNED = """
import subprocess
if len(sys.argv) > 1:
    held = [hold(4) for _ in range(4)]
print("child", subprocess.run([sys.executable, __file__, "big"]).returncode)
train()
"""


@dataclass(frozen=True)
class Seen:
    file: RunFile
    exit_code: int

    @property
    def kind(self) -> Kind:
        return self.file.verdict.kind


def check(folder: Path, *command: str, options: tuple[str, ...] = (), **environment: str) -> Seen:
    """A command under ``--check`` on the virtual RTX 4070: 11,874 MiB, 178 to 288 of them CUDA's."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nanocheck", "run", "--gpu", "rtx4070", "--check"),
            *("--json", str(folder / "run.json"), *options, "--", *command),
        ],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (folder / "run.json").exists(), done.stderr
    return Seen(load(folder / "run.json"), done.returncode)


def script(folder: Path, text: str) -> str:
    (folder / "x.py").write_text(TRAIN + text)
    return "x.py"


def test_work_that_was_left_out_has_its_own_verdict(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, str(CLIENTS / "caught_oom.py"), "skip")
    assert (seen.kind, seen.exit_code) == (Kind.LOST_WORK, 1)
    assert seen.file.result.oom is not None
    assert seen.file.result.oom.recovery is Recovery.SKIPPED


def test_a_search_for_the_batch_is_judged_by_the_batch_that_it_found(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, str(CLIENTS / "caught_oom.py"), "search", options=("--full",))
    assert seen.kind in (Kind.SAFE, Kind.TIGHT)
    assert seen.exit_code == 0
    result = seen.file.result
    assert result.oom is not None
    assert (result.oom.recovery, result.main.retries) == (Recovery.SEARCHED, 0)
    # 2^20 rows need 16 GiB for the input alone; the search ends at 2^17 or so, after it had filled the card.
    assert result.main.coverage is not None
    assert not result.main.coverage.shapes_vary
    ((rows, width), largest) = result.main.coverage.shapes_seen
    assert ((rows, width) == largest, width) == (True, 4096)
    assert rows in (2**16, 2**17)
    assert f"at inputs of {rows} x 4096, " in seen.file.verdict.sentence
    assert result.main.reserved_bytes < result.device.available_bytes
    assert sum(row.bytes for row in result.main.groups) == result.main.allocated_bytes


def test_a_limit_of_the_scripts_own_is_told_as_such(tmp_path: Path) -> None:
    name = script(
        tmp_path, "torch.cuda.set_per_process_memory_fraction(0.25)\nx = [hold(1) for _ in range(4)]"
    )
    seen = check(tmp_path, sys.executable, name)
    assert seen.kind is Kind.OOM
    limit = 11_874 * MIB // 4
    assert seen.file.result.main.limit_bytes == pytest.approx(limit, abs=1)
    assert seen.file.result.oom is not None
    assert seen.file.result.oom.limit_bytes == seen.file.result.main.limit_bytes


def test_a_script_without_a_limit_has_none(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, script(tmp_path, "train()"))
    assert (seen.kind, seen.exit_code) == (Kind.SAFE, 0)
    assert seen.file.result.main.limit_bytes is None
    assert seen.file.result.main.ended is ObservationEnd.WHOLE


def test_memory_that_others_took_is_in_the_headroom(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, script(tmp_path, BESIDE))
    process = seen.file.result.main
    assert process.process_bytes == 178 * MIB + process.reserved_bytes + 9 * 1024 * MIB
    assert seen.file.verdict.headroom_bytes == (11_874 - 110) * MIB - process.process_bytes


def test_without_the_caching_allocator_the_card_is_asked(tmp_path: Path) -> None:
    seen = check(
        tmp_path,
        *(sys.executable, script(tmp_path, "held = hold(11)\ntrain()")),
        PYTORCH_NO_CUDA_MEMORY_CACHING="1",
    )
    assert seen.kind is Kind.TIGHT
    assert seen.file.verdict.headroom_bytes is not None
    assert seen.file.verdict.headroom_bytes < 400 * MIB


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("raise ValueError('broken data')", Kind.CRASHED),
        ("os.kill(os.getpid(), signal.SIGKILL)", Kind.INCOMPLETE),
        (UNANSWERED, Kind.UNSUPPORTED),
    ],
)
def test_a_shell_cannot_hide_how_its_training_ended(ending: str, kind: Kind, tmp_path: Path) -> None:
    name = script(tmp_path, f"train(2)\n{ending}\n")
    seen = check(tmp_path, "bash", "-c", f"{sys.executable} {name}; true")
    assert (seen.kind, seen.exit_code) == (kind, MEANINGS[kind][0])
    assert seen.exit_code == 6
    if kind is Kind.UNSUPPORTED:
        line = next(n for n, each in enumerate((TRAIN + ending).split("\n"), 1) if "cusparseSpGEMM" in each)
        assert f"x.py:{line + 1} in <module>" in seen.file.verdict.sentence


def test_memory_of_a_python_that_cannot_be_observed_is_not_left_out(tmp_path: Path) -> None:
    """``-I`` ignores ``PYTHONPATH``; the card knows of it all the same."""
    child = "import torch; held = torch.empty(11 << 30, dtype=torch.uint8, device='cuda')"
    text = (
        f"import subprocess\ntrain()\nsubprocess.run([sys.executable, '-I', '-c', {child!r}], check=True)\n"
    )
    seen = check(tmp_path, sys.executable, script(tmp_path, text), options=("--full",))
    assert seen.kind is Kind.INCOMPLETE
    assert "not observed" in seen.file.verdict.sentence


def test_two_processes_that_do_not_fit_together_are_out_of_memory(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, script(tmp_path, TWO))
    assert (seen.kind, seen.exit_code) == (Kind.OOM, 1)
    result = seen.file.result
    assert seen.file.verdict.process_bytes == sum(each.process_bytes for each in result.processes)
    # The second asked while the first had its 7 GiB.
    assert result.oom is not None
    assert result.oom.requested_bytes == 7 * 1024 * MIB
    assert result.oom.free_bytes is not None
    assert result.oom.free_bytes + 7 * 1024 * MIB < result.device.capacity_bytes
    # torch.multiprocessing catches the error in the child, and tells its parent.
    assert not result.oom.caught
    assert [each.ended for each in result.processes] == [ObservationEnd.WHOLE, ObservationEnd.FAILED]
    assert result.ending is not None
    assert result.ending.how is How.ANSWERED


def test_processes_one_after_the_other_are_not_added_up(tmp_path: Path) -> None:
    name = script(tmp_path, "held = hold(7)\ntrain(2)\n")
    seen = check(
        tmp_path, "bash", "-c", f"{sys.executable} {name}; {sys.executable} {name}", options=("--full",)
    )
    assert len(seen.file.result.processes) == 2
    assert seen.kind is Kind.SAFE


def test_one_that_is_still_asleep_when_another_has_its_answer_is_not_forgotten(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, script(tmp_path, LATE))
    # Whether it still slept when the patience was over hangs on the machine.
    assert seen.kind is Kind.INCOMPLETE or seen.file.verdict.process_bytes > 8 * 1024 * MIB


def test_an_out_of_memory_counts_whoever_else_has_an_answer(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, script(tmp_path, SPAWNED))
    assert (seen.kind, seen.exit_code) == (Kind.OOM, 1)


@pytest.mark.parametrize("visible", ["", "-1", "1"])
def test_a_hidden_card_is_named(visible: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        f"import os\nos.environ['CUDA_VISIBLE_DEVICES'] = '{visible}'\nimport torch\ntorch.ones(3)\n"
    )
    seen = check(tmp_path, sys.executable, "x.py")
    assert (seen.kind, seen.exit_code) == (Kind.NO_GPU, 6)
    assert f"CUDA_VISIBLE_DEVICES={visible!r}" in seen.file.result.detail


@pytest.mark.parametrize(("visible", "told"), [("", True), ("1", True), ("0,1", False)])
def test_a_card_that_the_caller_hid_is_there_and_the_answer_says_so(
    visible: str, told: bool, tmp_path: Path
) -> None:
    command = sys.executable, script(tmp_path, "train(3)")
    seen = check(tmp_path, *command, options=("--full",), CUDA_VISIBLE_DEVICES=visible)
    assert seen.kind is Kind.SAFE
    assert any(f"CUDA_VISIBLE_DEVICES={visible!r}" in each for each in seen.file.result.notes) == told


def test_a_journal_without_room_answers_nothing(tmp_path: Path) -> None:
    name = script(tmp_path, "train(3)\nheld = hold(10)\ntrain()\n")
    seen = check(tmp_path, "bash", "-c", f"ulimit -f 8; {sys.executable} {name}")
    assert seen.kind is Kind.INCOMPLETE


#: Batches padded to their own longest sequence, and what comes after 200 steps.
LATE_NEEDS = """
layers = torch.nn.Sequential(torch.nn.Embedding(1000, 256), torch.nn.Linear(256, 1000)).cuda()
optimizer = torch.optim.AdamW(layers.parameters())
for step in range(201):
    length = 64 + 8 * (step % 5) if sys.argv[1] == "vary" else 64
    tokens = torch.randint(1000, (4, length), device="cuda")
    torch.nn.functional.cross_entropy(layers(tokens).flatten(0, 1), tokens.flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()
"""
LATE_EVALUATION = """
layers.eval()
with torch.no_grad():
    layers(torch.zeros(64, 4096, dtype=torch.long, device="cuda"))
torch.save(layers.state_dict(), os.devnull)
"""


def test_inputs_that_vary_in_shape_are_not_plainly_safe(tmp_path: Path) -> None:
    name = script(tmp_path, LATE_NEEDS)
    assert check(tmp_path, sys.executable, name, "same").kind is Kind.SAFE
    seen = check(tmp_path, sys.executable, name, "vary")
    assert (seen.kind, seen.exit_code) == (Kind.PARTIAL, 5)
    assert check(tmp_path, sys.executable, name, "vary", options=("--full",)).kind is Kind.SAFE


def test_what_the_script_says_it_does_later_is_waited_for_or_named(tmp_path: Path) -> None:
    name = script(tmp_path, LATE_NEEDS + LATE_EVALUATION)
    seen = check(tmp_path, sys.executable, name, "same")
    assert (seen.kind, seen.exit_code) == (Kind.PARTIAL, 5)
    assert seen.file.result.main.coverage is not None
    assert seen.file.result.main.coverage.unreached == ("eval", "save")
    covered = check(tmp_path, sys.executable, name, "same", options=("--cover", "eval,save"))
    assert covered.kind is Kind.SAFE
    # 64 x 4,096 x 1,000 in fp32.
    assert covered.file.result.main.reserved_bytes > seen.file.result.main.reserved_bytes + 900 * MIB


#: An allocator of one's own, as RMM has one, which keeps no history.
OWN_ALLOCATOR = """
import ctypes, subprocess
source = (
    "#include <stddef.h>\\nextern int cudaMalloc(void **, size_t); extern int cudaFree(void *);"
    "void *take(size_t n, int d, void *s) { void *p = 0; cudaMalloc(&p, n); return p; }"
    "void give(void *p, size_t n, int d, void *s) { cudaFree(p); }"
)
compiler = ["gcc", "-shared", "-fPIC", "-xc", "-", "-o", "./own.so"]
subprocess.run(compiler, input=source, text=True, check=True)
own = torch.cuda.memory.CUDAPluggableAllocator("./own.so", "take", "give")
torch.cuda.memory.change_current_allocator(own)
train()
"""


def test_an_allocator_without_a_history_is_named(tmp_path: Path) -> None:
    seen = check(tmp_path, sys.executable, script(tmp_path, OWN_ALLOCATOR))
    assert (seen.kind, seen.exit_code) == (Kind.INCOMPLETE, 6)
    assert "CUDAPluggableAllocator" in seen.file.result.detail
    assert (seen.file.result.provenance, seen.file.result.main.ended) == ("unknown", ObservationEnd.BROKEN)


def test_a_script_whose_name_is_no_text_has_no_answer_that_looks_like_one(tmp_path: Path) -> None:
    """PyTorch's history cannot hold its file's name."""
    name = os.fsdecode(b"odd-\xff.py")
    (tmp_path / name).write_text(TRAIN + "train(30)")
    seen = check(tmp_path, sys.executable, name)
    assert (seen.kind, seen.exit_code) == (Kind.INCOMPLETE, 6)


def test_memory_that_runs_out_after_the_stop_is_out_of_memory(tmp_path: Path) -> None:
    """``finally`` runs at the script's own end, too."""
    seen = check(tmp_path, sys.executable, script(tmp_path, "try:\n    train(30)\nfinally:\n    hold(20)"))
    assert (seen.kind, seen.exit_code) == (Kind.OOM, 1)
