"""Megatron-LM's functional tests, whose memory its repository stores, again as the last of 8 virtual ranks.

    python benchmarks/ranks/megatron.py --megatron CLONE --python PYTHON tp4    # one, in some minutes
    python benchmarks/ranks/megatron.py --megatron CLONE --python PYTHON --store
    python benchmarks/ranks/megatron.py                                # the table of docs/several-gpus.md

What is stored there, and at which commit: ``megatron.toml``. What was found here: ``megatron.csv``.
CLONE is a clone of github.com/NVIDIA/Megatron-LM with its history; PYTHON has torch, numpy, einops, pybind11,
tensorboard and, of github.com/NVIDIA/apex, the extensions ``scaled_upper_triang_masked_softmax_cuda`` and
``scaled_masked_softmax_cuda`` (nvcc compiles them; kernels are never executed here, what they allocate is).

**What is the same.** ``pretrain_gpt.py`` of that commit and the test's own arguments, ``--transformer-impl
local`` among them, under torchrun with eight ranks, of which the last runs: it is the one that logs.

**What is not.** ``--mock-data`` and a tokenizer without a file, whose vocabulary is padded to the same 50,304
(50,688 with four tensor parallel ranks): a text's contents do not reach the card's memory. No checkpoint
is saved, four iterations are run instead of fifty, and without Apex's layer norm and Transformer Engine's
optimizer Megatron takes PyTorch's (``--no-persist-layer-norm``). torch is the one of PYTHON, theirs were of
NVIDIA's containers (24.10 at the first commit, 26.04 at the second).

**What is changed in the code**: two names that newer libraries moved, ``CHANGED``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

CASES = Path(__file__).with_suffix(".toml")
FOUND = Path(__file__).with_suffix(".csv")
COLUMNS = ("case", "torch", "first", "peak", "allocated", "reserved", "seconds")
#: Of the last of eight ranks; see ``training_log`` of ``megatron/training/training.py``.
TAGS = {"peak": "mem-max-allocated-bytes", "allocated": "mem-allocated-bytes"}
ITERATIONS = 4

#: numpy 2 has no ``product``; ``typing`` has ``override`` from Python 3.12 on.
CHANGED = {
    "megatron/core/dist_checkpointing/mapping.py": ("np.product(", "np.prod("),
    "megatron/core/dist_checkpointing/validation.py": ("np.product(", "np.prod("),
    "megatron/core/dist_checkpointing/exchange_utils.py": ("np.product(", "np.prod("),
    "megatron/training/models/hybrid.py": (
        "from typing import Any, Callable, ClassVar, Literal, override",
        "from typing import Any, Callable, ClassVar, Literal\nfrom typing_extensions import override",
    ),
}
#: Of all three tests, as their ``model_config.yaml`` has them.
ARGUMENTS = f"""
    --num-layers 12 --hidden-size 512 --num-attention-heads 8 --seq-length 1024 --max-position-embeddings 1024
    --micro-batch-size 4 --global-batch-size 32 --bf16 --apply-query-key-layer-scaling --use-mcore-models
    --transformer-impl local --deterministic-mode --no-gradient-accumulation-fusion --distributed-backend nccl
    --lr 0.00015 --min-lr 1.0e-5 --lr-decay-style cosine --lr-decay-iters 320000 --lr-warmup-fraction .01
    --weight-decay 1e-2 --clip-grad 1.0 --log-params-norm --log-num-zeros-in-grad --log-interval 1
    --log-memory-to-tensorboard --log-timers-to-tensorboard --log-validation-ppl-to-tensorboard
    --timing-log-level 0 --eval-interval 1000 --eval-iters 10 --ckpt-format torch_dist --split 949,50,1
    --mock-data --tokenizer-type NullTokenizer --vocab-size 50256 --no-persist-layer-norm
    --train-iters {ITERATIONS}
"""
ENVIRONMENT = {
    "CUDA_DEVICE_MAX_CONNECTIONS": "1",
    "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "0",
    "NCCL_ALGO": "Ring",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
_READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({tag: [int(each.value) for each in events.Scalars(tag)] for tag in sys.argv[2:]}))
"""
_HELPERS = """
import pathlib, subprocess, sysconfig, pybind11
where = pathlib.Path("megatron/core/datasets")
target = where / f"helpers_cpp{sysconfig.get_config_var('EXT_SUFFIX')}"
paths = [f"-I{sysconfig.get_path('include')}", f"-I{pybind11.get_include()}"]
subprocess.run(["c++", "-O1", "-shared", "-std=c++17", "-fPIC", *paths, where / "helpers.cpp", "-o", target],
               check=True)
"""

Row = dict[str, str]


def cases() -> dict[str, Any]:
    return tomllib.loads(CASES.read_text())


def found() -> list[Row]:
    """The stored rows."""
    with FOUND.open(newline="") as file:
        return list(csv.DictReader(file))


def lay_out(clone: Path, commit: str, folder: Path, python: Path) -> None:
    """The code of a commit, ready to run.

    Raises:
        CalledProcessError: no such commit, or the helpers of its data sets do not compile.
    """
    packed = subprocess.run(
        ["git", "-C", clone, "archive", commit, "megatron", *_programs(clone, commit)],
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    for name, (old, new) in CHANGED.items():
        path = folder / name
        if path.exists():
            path.write_text(path.read_text().replace(old, new))
    subprocess.run([python, "-c", _HELPERS], cwd=folder, check=True)


def _programs(clone: Path, commit: str) -> Iterator[str]:
    listed = subprocess.run(
        ["git", "-C", clone, "ls-tree", "--name-only", commit], check=True, capture_output=True, text=True
    ).stdout.split()
    yield from (
        each for each in listed if each in ("pretrain_gpt.py", "gpt_builders.py", "model_provider.py")
    )


def run(name: str, clone: Path, python: Path, ranks: str = "7") -> Row:
    """One test as some of its eight ranks; the figures are those that Megatron's last rank logs.

    Raises:
        RuntimeError: nanocheck gave no answer, or another peak than the program itself.
    """
    case = cases()[name]
    with tempfile.TemporaryDirectory() as scratch:
        code, events, answer = (Path(scratch) / each for each in ("code", "events", "answer.json"))
        code.mkdir()
        lay_out(clone, case["commit"], code, python)
        began = time.monotonic()
        subprocess.run(
            [
                *(sys.executable, "-m", "nanocheck", "run", "--full", "--gpu", case["gpu"], "--ranks", ranks),
                *("--json", answer, "--"),
                *(python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=8"),
                *("pretrain_gpt.py", *ARGUMENTS.split(), *case["arguments"], "--tensorboard-dir", events),
            ],
            cwd=code,
            env={**os.environ, **ENVIRONMENT},
            check=False,
        )
        seconds = time.monotonic() - began
        if not answer.exists() or not events.exists():
            raise RuntimeError(f"{name}: expected an answer and a log, found none: see above")
        logged = json.loads(
            subprocess.run(
                [python, "-c", _READ, events, *TAGS.values()], check=True, capture_output=True, text=True
            ).stdout
        )
        result = json.loads(answer.read_text())["result"]
    peaks = logged[TAGS["peak"]]
    (last,) = (each for each in result["processes"] if each["rank"] == 7)
    if last["allocated_bytes"] != max(peaks):
        raise RuntimeError(f"{name}: expected the peak {max(peaks)}, found {last['allocated_bytes']}")
    values = (
        name,
        result["environment"]["torch"],
        peaks[0],
        peaks[-1],
        logged[TAGS["allocated"]][-1],
        last["reserved_bytes"],
        round(seconds),
    )
    return dict(zip(COLUMNS, map(str, values), strict=True))


def table(rows: Sequence[Row]) -> str:
    """Each stored figure beside the one found here."""
    lines = []
    for row in rows:
        case = cases()[row["case"]]
        for platform, stored in case["stored"].items():
            there, here = stored["peak"], int(row["peak"])
            first, allocated = (int(row[each]) - stored[each] for each in ("first", "allocated"))
            lines.append(
                (
                    case["about"],
                    platform,
                    f"{there:,}",
                    f"{here:,}",
                    f"{here - there:+,}",
                    f"{100 * (here - there) / there:+.4f} %",
                    f"{first:+,}",
                    f"{allocated:+,}",
                )
            )
    headers = ("8 ranks", "stored for", "peak", "here", "bytes", "", "first iteration", "after a step")
    return tabulate(lines, headers, tablefmt="github", disable_numparse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="cases of megatron.toml; all by default")
    parser.add_argument("--megatron", type=Path, metavar="CLONE")
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--ranks", default="7", help="those that run")
    parser.add_argument("--store", action="store_true", help="keep what is found in megatron.csv")
    options = parser.parse_args()
    if options.megatron is None:
        print(table(found()))
        return 0
    names = options.names or list(cases())
    rows = [run(each, options.megatron, options.python, options.ranks) for each in names]
    print(table(rows))
    if options.store:
        kept = {**{row["case"]: row for row in found()}, **{row["case"]: row for row in rows}}
        with FOUND.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept[each] for each in cases() if each in kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
