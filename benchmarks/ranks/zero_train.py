"""A small stack under DeepSpeed's ZeRO, for what docs/several-gpus.md says of it; STAGE is 1, 2 or 3.

    nanocheck run --full --gpu 2xrtx4070 --ranks 0 -- \
        PYTHON -m torch.distributed.run --standalone --nproc_per_node=2 benchmarks/ranks/zero_train.py STAGE

and the same with ``--ranks all``; PYTHON has torch and deepspeed (its wheel compiles nothing).
"""

from __future__ import annotations

import sys

import deepspeed
import torch

WIDTH, BATCH = 512, 8
SETTINGS = {
    "train_micro_batch_size_per_gpu": BATCH,
    "bf16": {"enabled": True},
    # PyTorch's own AdamW: DeepSpeed's would be compiled by nvcc.
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "torch_adam": True}},
    "zero_optimization": {"stage": int(sys.argv[1]), "reduce_bucket_size": 1_000_000},
}


def main() -> None:
    torch.manual_seed(0)
    block = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.GELU(), torch.nn.Linear(4 * WIDTH, WIDTH)
    model = torch.nn.Sequential(*block, torch.nn.LayerNorm(WIDTH))
    engine, *_ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=SETTINGS)
    for _ in range(8):
        rows = torch.randn(BATCH, 64, WIDTH, device=engine.device, dtype=torch.bfloat16)
        engine.backward(engine(rows).float().square().mean())
        engine.step()
    print("rank", torch.distributed.get_rank(), torch.cuda.max_memory_allocated(), flush=True)


if __name__ == "__main__":
    main()
