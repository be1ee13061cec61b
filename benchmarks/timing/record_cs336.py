"""Record a step of the course's language model, CS336 assignment 2, for the test of `cs336.py`.

    git clone https://github.com/stanford-cs336/assignment2-systems /tmp/course   # or a student's, of 2025
    pip install einops einx jaxtyping
    python benchmarks/timing/record_cs336.py /tmp/course/cs336-basics bf16 512    # or fp32; the context

Writes ``lists/cs336-2layers-t512-bf16.json.gz``: two layers of width 768 stand for all others. The model is
not part of nanocheck; only the list of its kernels is kept.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

LISTS = Path(__file__).parent / "lists"
VOCAB, WIDTH, LAYERS, HEADS, BATCH, STEPS = 10000, 768, 2, 12, 4, 60


def train(course: str, dtype: str, context: int) -> None:
    """The observed script."""
    sys.path.insert(0, course)
    import torch

    # Rejection sampling looks at values, which a virtual card does not have: leave weights as they are.
    torch.nn.init.trunc_normal_ = lambda tensor, **_: tensor  # type: ignore[assignment]
    from cs336_basics.model import BasicsTransformerLM
    from cs336_basics.nn_utils import cross_entropy

    with torch.device("cuda"):
        model = BasicsTransformerLM(
            vocab_size=VOCAB, context_length=context, d_model=WIDTH, num_layers=LAYERS,
            num_heads=HEADS, d_ff=4 * WIDTH, rope_theta=10000.0,
        )  # fmt: skip
        x, y = (torch.randint(0, VOCAB, (BATCH, context)) for _ in range(2))
    model.to("cuda")
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16) if dtype == "bf16" else nullcontext():
            loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


def main(course: str, dtype: str, context: str) -> None:
    """Observe the script above, keep its list of kernels."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        script = [sys.executable, __file__, "--train", course, dtype, context]
        run = [
            sys.executable,
            "-m",
            "nanocheck",
            "run",
            "--time",
            "--gpu",
            "a100-80gb",
            "--json",
            str(answer),
        ]
        subprocess.run([*run, "--", *script], check=True)
        (process,) = json.loads(answer.read_text())["result"]["processes"]
    path = LISTS / f"cs336-2layers-t{context}-{dtype}.json.gz"
    path.write_bytes(gzip.compress(json.dumps(process["kernels"]).encode(), mtime=0))
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    if sys.argv[1] == "--train":
        train(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(*sys.argv[1:])
