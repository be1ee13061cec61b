"""Programs that know nothing of nanocheck, under ``nanocheck run``: their own peaks, ours, who holds them.

    python benchmarks/clients.py                # all of tests/clients, as a markdown table
    python benchmarks/clients.py cs336 ddp

Each runs to its own end on a virtual RTX 4070. Where it asks PyTorch for its peak, that figure stands beside
ours; the row's groups are added up and must give the peak to the byte, else the last column says by how much
they do not. torchao's, transformers' and TRL's programs need these libraries.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

CLIENTS = Path(__file__).parent.parent / "tests" / "clients"
TORCHRUN = ("torchrun", "--standalone", "--nproc_per_node=1")
ACCELERATE = ("accelerate", "launch", "--num_processes", "1")
MIB = 1 << 20


@dataclass(frozen=True)
class Client:
    """A program of tests/clients with its arguments, and what starts it."""

    title: str
    words: tuple[str, ...]
    launcher: tuple[str, ...] = ("python",)


PROGRAMS = (
    Client("transformers Trainer, GPT-2", ("trainer.py", "OUT")),
    Client("transformers Trainer, Llama", ("trainer.py", "OUT", "--model", "llama")),
    Client("... with checkpointing", ("trainer.py", "OUT", "--model", "llama", "--checkpointing")),
    Client("... Qwen, tied embeddings", ("trainer.py", "OUT", "--model", "qwen")),
    Client("... Mixtral", ("trainer.py", "OUT", "--model", "mixtral")),
    Client("... its experts in a loop", ("trainer.py", "OUT", "--model", "mixtral", "--experts", "eager")),
    Client("... OLMoE", ("trainer.py", "OUT", "--model", "olmoe")),
    Client("TRL SFTTrainer", ("trl_trainer.py", "OUT")),
    Client("... LoRA", ("trl_trainer.py", "OUT", "--lora")),
    Client("... packed", ("trl_trainer.py", "OUT", "--packing")),
    Client("TRL DPOTrainer", ("trl_trainer.py", "OUT", "--method", "dpo")),
    Client("packed sequences, varlen_attn", ("packed_varlen.py",)),
    Client("accelerate's batch finder", ("accelerate_finder.py", "--start", "100")),
    Client("the first under accelerate launch", ("trainer.py", "OUT"), ACCELERATE),
    Client("PyTorch Lightning", ("lightning_gpt.py", "OUT")),
    Client("bitsandbytes 8-bit AdamW", ("bnb_adam8bit.py",)),
    Client("... paged", ("bnb_adam8bit.py", "--optimizer", "paged")),
    Client("bitsandbytes 4-bit linear (QLoRA)", ("bnb_qlora.py",)),
    Client("torchao 8-bit AdamW", ("torchao_adam8bit.py",)),
    Client("DataLoader workers, forked", ("workers.py",)),
    Client("DataLoader workers, spawned", ("workers.py", "--start", "spawn")),
    Client("CUDA graphs by hand", ("graphs.py", "--way", "hand")),
    Client("torchrun with DDP", ("ddp.py",), TORCHRUN),
    Client("forks and spawns", ("forks.py",)),
    Client("asks nvidia-smi and NVML", ("smi.py",)),
    Client("measures itself", ("measures.py",)),
    Client("CS336-style benchmark", ("cs336.py", "--warmup", "1", "--steps", "2")),
)


def observe(client: Client) -> tuple[dict[str, Any] | None, str]:
    """The result (``docs/run-result.schema.json``), and what the program printed."""
    with tempfile.TemporaryDirectory() as folder:
        words = [each.replace("OUT", folder) for each in client.words[1:]]
        result = Path(folder) / "answer.json"
        ran = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "nanocheck",
                    "run",
                    "--gpu",
                    "rtx4070",
                    "--full",
                    "--json",
                    str(result),
                ),
                *("--", *client.launcher, str(CLIENTS / client.words[0]), *words),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0 or not result.exists():
            return None, (ran.stderr.strip().splitlines() or ["no answer"])[-1]
        return json.loads(result.read_text())["result"], ran.stdout


def rows(client: Client) -> list[dict[str, str]]:
    """One row a process that used the GPU."""
    answer, output = observe(client)
    if answer is None:
        return [{"program": client.title, "its own peak": "-", "ours": f"failed: {output}"}]
    own = [
        line.split()[1] for line in output.splitlines() if line.startswith("peak ") and len(line.split()) == 2
    ]
    found = []
    for process in answer["processes"] or []:
        peak = process["allocated_bytes"]
        groups = {row["group"]: row["bytes"] for row in process["groups"]}
        off = sum(groups.values()) - peak
        itself = [value for value in own if value == str(peak)] or (
            own if len(answer["processes"]) == 1 else []
        )
        found.append(
            {
                "program": client.title,
                "its own peak": itself[0] if itself else "-",
                "ours": str(peak),
                **{name: f"{value / MIB:,.2f}" for name, value in groups.items()},
                "sum - peak": str(off),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="parts of a program's file name")
    only = parser.parse_args().only
    table: list[dict[str, str]] = []
    for client in PROGRAMS:
        if not only or any(word in client.words[0] for word in only):
            table += rows(client)
            print(f"{client.title}: {table[-1]['ours']}", file=sys.stderr, flush=True)
    print(f"Peaks in bytes, groups in MiB; virtual RTX 4070, torch {torch.__version__}.\n")
    print(tabulate(table, headers="keys", tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
