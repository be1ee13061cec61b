"""Unmodified programs under ``nanocheck run``: each with its table, and every table sums to the peak.

The programs in ``clients/`` know nothing of nanocheck. Each prints the peak that PyTorch told it as its last
word (``peak N``); with ``steps=0`` they run to their end, so their own figure must be ours, to the byte.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from client_runs import groups, needs_libraries_of, run, sound_answer
from observing import Seen, observe
from paths import CLIENTS

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.report.run_file import load
from nanocheck.virtual import card_environment, prepare

pytestmark = pytest.mark.usefixtures("whole_start")

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1")


@pytest.mark.parametrize(
    ("name", "arguments"), [("graphs.py", ("--way", "hand")), ("bnb_adam8bit.py", ("--optimizer", "paged"))]
)
def test_a_program_that_measures_itself_finds_the_same_peak(
    name: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """Those of ``MEASURING`` are in ``test_observation_moves_no_number``, which runs them anyhow."""
    needs_libraries_of(name)
    seen, _ = run(tmp_path, name, *arguments)
    finds_the_same_peak(seen)


def finds_the_same_peak(seen: Seen) -> None:
    """Its own figure is ours, and what holds it is told by the script's lines."""
    (process,) = sound_answer(seen).result.processes
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert {"forward", "backward", "optimizer"} <= process.phase_peaks().keys()
    assert groups(process)["parameters"] > 0
    first = process.largest[0]
    assert first.line is not None
    # A loop's own files say less than the script's line that called it.
    assert not any((row.where or "").startswith(("lightning/", "accelerate/")) for row in process.largest)
    # Names of files that only one machine has help nobody.
    assert not any(
        (row.where or "").startswith("/") and "/clients/" not in row.where for row in process.largest
    )


#: Every program of tests/clients with what it is started with; slow are those that take half a minute.
PROGRAMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accelerate_finder.py": (("--start", "100"), ()),
    "async_collectives.py": (("{folder}/rendezvous", "0"), ()),
    "bert.py": (("2", "64"), ()),
    "bnb_adam8bit.py": ((), ()),
    "bnb_qlora.py": ((), ()),
    "caught_oom.py": (("search",), ()),
    "collectives.py": (("{folder}/rendezvous",), ()),
    "configured_gpt.py": (("settings.py",), ()),
    "cs336.py": (("--warmup", "1", "--steps", "2"), ()),
    "ddp.py": ((), TORCHRUN),
    "forks.py": ((), ()),
    "fsdp.py": ((), TORCHRUN),
    "graphs.py": (("--way", "compile"), ()),
    "hf_trainer.py": (("out",), ()),
    "layers.py": (("gru",), ()),
    "lightning_gpt.py": (("out",), ()),
    "masked_loss.py": (("hand",), ()),  # by its mask, what is seen is more: test_sizes_of_scripts.py
    "measures.py": ((), ()),
    "resnet50.py": (("--batch", "2", "--size", "64"), ()),
    "mixture_of_experts.py": (("hand",), ()),
    "packed_positions.py": ((), ()),
    "packed_varlen.py": ((), ()),
    "smi.py": ((), ()),
    "torchao_adam8bit.py": ((), ()),
    "trainer.py": (("out", "--model", "llama"), ()),
    "workers.py": (("--start", "spawn"), ()),
}
_SLOW = (
    *("accelerate_finder", "bert", "bnb_qlora", "configured_gpt", "cs336", "forks", "fsdp"),
    *("hf_trainer", "torchao_adam8bit", "trainer", "workers"),
)
#: Those that print the peak of their one process that trains.
MEASURING = (
    *("bnb_qlora", "cs336", "ddp", "lightning_gpt", "measures"),
    *("packed_varlen", "workers"),
)
#: Programs whose sizes hang on masks all over: alone nobody computes these. test_fine_tuning_programs.py.
_BY_MASK = {"trl_trainer.py"}
#: Against a real card's figures, in tests/virtual/test_transformers.py.
_MEASURED = {"hf_lora.py"}
#: What the programs print of their memory.
_FIGURES = ("peak", "reserved", "allocated", "kept", "weights", "after", "used", "spawned0", "spawned1")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name[:-3] in _SLOW else []) for name in PROGRAMS]
)
def test_observation_moves_no_number(name: str, tmp_path: Path) -> None:
    """The same program with and without the observer: not one of the figures it prints differs.

    Both find their caches empty: a program that finds its kernels tuned does without the buffer of 36 MiB
    that tuning needs, and observed runs always tune.
    """
    needs_libraries_of(name)
    arguments, launcher = PROGRAMS[name]
    shown = []
    for folder, environment in (("seen", {}), ("alone", {"PYTHONPATH": ""})):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "settings.py").write_text("batch_size = 2\nn_layer = 2\n")
        seen = observe(
            CLIENTS / name,
            tmp_path / folder,
            *(each.format(folder=tmp_path / folder) for each in arguments),
            steps=0,
            launcher=launcher,
            environment={
                **environment,
                "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / folder / "inductor"),
                "TRITON_CACHE_DIR": str(tmp_path / folder / "triton"),
            },
        )
        assert seen.ending.exit_code == 0, seen.stderr[-3000:]
        assert bool(seen.processes()) == (folder == "seen")
        if folder == "seen" and name[:-3] in MEASURING:
            finds_the_same_peak(seen)
        shown.append({key: value for key, value in seen.printed().items() if key in _FIGURES})
    assert shown[0] == shown[1]
    assert shown[0] or name == "collectives.py", "a program that prints no figure proves nothing"


def test_no_program_is_left_out() -> None:
    assert set(PROGRAMS) | _BY_MASK | _MEASURED == {path.name for path in CLIENTS.glob("*.py")}


@pytest.mark.slow
def test_checkpointing_is_seen_in_the_activations(tmp_path: Path) -> None:
    """The same Llama through transformers' Trainer: parameters and state stay, activations shrink."""
    found = []
    for name, arguments in (("without", ()), ("with", ("--checkpointing",))):
        (tmp_path / name).mkdir()
        _, answer = run(tmp_path / name, "trainer.py", "out", "--model", "llama", *arguments, steps=3)
        found.append(groups(answer.result.processes[0]))
        assert answer.result.ending.how == "answered"
    without, checkpointed = found
    assert without["parameters"] == checkpointed["parameters"]
    assert without["optimizer state"] == checkpointed["optimizer state"]
    assert checkpointed["activations"] < without["activations"] / 2


def test_processes_are_kept_apart(tmp_path: Path) -> None:
    """A script that forks and spawns processes which train on the card too."""
    seen, answer = run(tmp_path, "forks.py")
    assert len(answer.result.processes) >= 3
    assert len({process.pid for process in answer.result.processes}) == len(answer.result.processes)
    assert int(seen.printed()["peak"]) in [process.allocated_bytes for process in answer.result.processes]
    reserved = [process.reserved_bytes for process in answer.result.processes]
    assert reserved == sorted(reserved, reverse=True)


def test_a_program_that_asks_nvidia_smi(tmp_path: Path) -> None:
    seen = observe(CLIENTS / "smi.py", tmp_path)
    assert seen.ending.exit_code == 0, seen.stderr
    assert "name NVIDIA GeForce RTX 4070" in seen.stdout


def test_the_road_to_a_real_card_walked_on_the_virtual_one(tmp_path: Path) -> None:
    """``--device real`` where the driver offers a card: the same observer, nothing preloaded by us.

    The card is the virtual one, made the machine's own, so the answer must still say virtual.
    """
    card = Target(kind="virtual", gpu=find_gpu("rtx4070"))
    command = [
        sys.executable,
        "-m",
        "nanocheck",
        "run",
        "--device",
        "real",
        "--json",
        str(tmp_path / "a.json"),
    ]
    ran = subprocess.run(
        [*command, "--", sys.executable, str(CLIENTS / "measures.py")],
        env={**os.environ, **prepare().launch_environment(), **card_environment(card)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answer = load(tmp_path / "a.json")
    assert answer.result.device.kind == "real"
    assert answer.result.provenance == "virtual"
    (process,) = answer.result.processes
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes
    assert "measured" not in ran.stderr.lower()
