"""Steps that are timed and recorded after the answer: they move no byte, and say what a step does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from client_runs import needs_libraries_of
from observing import Seen, observe
from paths import CLIENTS

from nanocheck.core.kernels import KernelKind, KernelList
from nanocheck.core.result import ProcessMemory

#: Starts a program as it is; when it ends, at whatever step, PyTorch and the driver say what it took.
_TELLS = """
import atexit, runpy, sys
from nanocheck.observe import introspect
def tell():
    import torch
    figures = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    print("figures", *figures, introspect.peak_used_bytes(), file=sys.stderr)
atexit.register(tell)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_LOOP = """
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(512, 128)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(128, 4, batch_first=True) for _ in range(2))
        self.head = nn.Linear(128, 512)
    def forward(self, x):
        x = self.table(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if CHECKPOINTING else block(x)
        return self.head(x)
net = Net().cuda()
run = torch.compile(net) if COMPILED else net
optimizer = torch.optim.AdamW(net.parameters())
data = torch.utils.data.DataLoader(torch.randint(0, 512, (4096, 65)), batch_size=4, pin_memory=True)
batches = iter(data)
for step in range(100):
    for _ in range(MICRO_BATCHES):
        x = next(batches).cuda(non_blocking=True)
        with torch.autocast("cuda", torch.bfloat16):
            logits = run(x[:, :-1])
        nn.functional.cross_entropy(logits.float().flatten(0, 1), x[:, 1:].flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()
    for _ in range(READS):
        logits.sum().item()
"""


def _script(folder: Path, **settings: object) -> Path:
    usual = {"CHECKPOINTING": False, "COMPILED": False, "MICRO_BATCHES": 1, "READS": 0}
    path = folder / "train.py"
    lines = [f"{name} = {value!r}" for name, value in {**usual, **settings}.items()]
    # What compiles is not run in a fork, nor what names it.
    loop = (
        _LOOP if settings.get("COMPILED") else _LOOP.replace("torch.compile(net) if COMPILED else net", "net")
    )
    path.write_text("\n".join(lines) + loop)
    return path


def _observed(folder: Path, program: Path, *arguments: str, time: bool) -> tuple[Seen, ProcessMemory, str]:
    part = folder / f"time-{time}"
    part.mkdir()
    seen = observe(_TELLS, part, str(program), *arguments, time=time)
    told = re.findall(r"figures [0-9 ]+", seen.stderr)
    assert len(told) == 1, seen.stderr[-3000:]
    (process,) = seen.result().processes
    return seen, process, told[0]


@pytest.mark.parametrize(
    "client",
    [
        {},
        {"CHECKPOINTING": True, "MICRO_BATCHES": 4},
        pytest.param({"COMPILED": True}, marks=pytest.mark.slow),
        pytest.param("hf_trainer.py", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_timing_moves_no_byte(client: dict[str, object] | str, tmp_path: Path) -> None:
    arguments = ()
    if isinstance(client, str):
        needs_libraries_of(client)
        program = tmp_path / client  # the same, for longer: three steps are too few to be timed, too
        program.write_text((CLIENTS / client).read_text().replace("steps=3", "steps=60"))
        arguments = ("out",)
    else:
        program = _script(tmp_path, **client)
    _, plain, figures = _observed(tmp_path, program, *arguments, time=False)
    _, timed, timed_figures = _observed(tmp_path, program, *arguments, time=True)
    assert timed.kernels is not None
    assert plain.kernels is None
    # The script's own peak at its end: so many steps later, the same.
    assert timed_figures == figures
    assert timed.groups == plain.groups
    # HF Trainer: 128 tokens, 4 a micro-batch, 2 of these; _LOOP: 64, 4, and as many as there are.
    counted = 1024 if isinstance(client, str) else 256 * int(str(client.get("MICRO_BATCHES", 1)))
    assert timed.kernels.tokens == counted
    assert any(each.group == "workspaces" and each.bytes > 0 for each in timed.groups)
    assert (timed.allocated_bytes, timed.reserved_bytes) == (plain.allocated_bytes, plain.reserved_bytes)
    assert timed.steps == plain.steps


def _operations(kernels: KernelList) -> float:
    return sum(kernel.operations * times for kernel, times in kernels)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> ProcessMemory:
    folder = tmp_path_factory.mktemp("one")
    return _observed(folder, _script(folder), time=True)[1]


@pytest.mark.parametrize("micro_batches", [2, 3, 7])
def test_an_accumulation_is_as_many_times_its_micro_batch(
    micro_batches: int, one: ProcessMemory, tmp_path: Path
) -> None:
    _, process, _ = _observed(tmp_path, _script(tmp_path, MICRO_BATCHES=micro_batches), time=True)
    assert process.kernels is not None
    assert one.kernels is not None
    assert _operations(process.kernels) == micro_batches * _operations(one.kernels)
    assert process.kernels.tokens == micro_batches * 4 * 64
    assert sum(part.times for part in process.kernels.parts) == micro_batches
    assert len(process.kernels.parts) == min(micro_batches, 3)  # no more is written than is needed
    assert process.host_time is not None
    assert process.host_time.micro_batches == micro_batches


def test_values_that_are_read_are_waits(one: ProcessMemory, tmp_path: Path) -> None:
    _, process, _ = _observed(tmp_path, _script(tmp_path, READS=3), time=True)
    assert process.host_time is not None
    assert one.host_time is not None
    assert process.host_time.median_waits == one.host_time.median_waits + 3
    waits = [kernel for kernel, _ in process.kernels or () if kernel.kind is KernelKind.WAIT]
    assert len(waits) == 3


def test_the_hosts_step_is_timed_while_nobody_looks(one: ProcessMemory) -> None:
    host = one.host_time
    assert host is not None
    assert host.recorded
    assert len(host.seconds) == 5
    assert not host.observed
    assert all(0 < loading < step for loading, step in zip(host.loader_seconds, host.seconds, strict=True))
    assert one.kernels is not None
    assert one.kernels.parameters == 512 * 128 + 2 * 593_024 + 128 * 512 + 512


def test_workers_that_begin_in_the_recorded_step_write_nothing_into_it(tmp_path: Path) -> None:
    """They are forks of the process that records."""
    path = _script(tmp_path)
    text = path.read_text().replace("        x = next(batches)", "        x = next(iter(data))")
    # What they do must be enough to reach the file.
    text = text.replace("batch_size=4,", "batch_size=4, num_workers=1, collate_fn=collate,")
    collate = "def collate(rows): return [torch.stack(rows) + 0 for _ in range(4000)][0]"
    path.write_text(f"import torch\n{collate}\n{text}")
    _, process, _ = _observed(tmp_path, path, time=True)
    assert process.host_time is not None
    assert process.host_time.recorded
    assert process.kernels is not None
    assert process.kernels.tokens == 4 * 64


def test_a_script_that_ends_early_keeps_its_answer(tmp_path: Path) -> None:
    path = _script(tmp_path)
    path.write_text(path.read_text().replace("range(100)", "range(6)"))
    _, process, _ = _observed(tmp_path, path, time=True)
    assert process.allocated_bytes > 0
    assert process.kernels is None
