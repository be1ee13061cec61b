"""One training of xMem's benchmark, as its own loop did it; benchmarks/xmem.py puts it on a virtual card.

    nanocheck run --gpu rtx3060 --full -- python benchmarks/xmem_train.py distilbert/distilgpt2 --batch 15

It knows nothing of nanocheck. What xMem's runs were made of stands in exp/trainer of Stone-ResearchLife/xMem:
the card's memory limit is set first, which makes the CUDA context; the optimizer is made before the model is
on the card; StepLR; four steps; ``batch``, ``outputs`` and ``loss`` of a step live until the next one has
replaced them. Texts of wikitext-2 are replaced by random tokens: sequences of 128, of which some end earlier.

transformers asks the mask on the card whether it has a zero. From torch 2.9 on the virtual GPU computes that;
before, ``answer_for_the_mask`` answers, since a placeholder would say that there is none.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import torch
import transformers

MODELS = Path(__file__).parent / "data" / "xmem_models.toml"
STEPS = 4
LEARNING_RATE = 1e-3


def model_of(name: str) -> Any:
    """The model with random fp32 weights, in training mode, on the host."""
    described = tomllib.loads(MODELS.read_text())[name]
    config = getattr(transformers, described["config"])(**described["arguments"])
    return getattr(transformers, described["model"])(config).train()


def batches(size: int, lengths: list[int], vocabulary: int) -> list[dict[str, torch.Tensor]]:
    """As the language-modelling collator gives them: int64 on the host, labels -100 where there is padding.

    Every third row is half as long as the batch is wide, and padded.
    """
    made = []
    for width in lengths:
        ids = torch.randint(10, vocabulary, (size, width))
        mask = torch.ones_like(ids)
        mask[::3, width // 2 :] = 0
        labels = ids.masked_fill(mask == 0, -100)
        made.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    return made


def answer_for_the_mask() -> None:
    """Before torch 2.9: what the masks of ``batches`` answer, so that attention gets one as on the card."""
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 9):
        from transformers.modeling_attn_mask_utils import AttentionMaskConverter

        AttentionMaskConverter._ignore_causal_mask_sdpa = staticmethod(lambda *_, **__: False)


def earlier_task() -> None:
    """What an earlier training of the same process left: cuBLAS's workspaces of both threads.

    xMem's sweeps train row after row in one process and empty the cache between (its ``run_group_truth``):
    the first sample has these in it, and a training does not cut them out of blocks of its own.
    """
    layer = torch.nn.Linear(8, 8).to("cuda:0")
    layer(torch.ones(8, 8, device="cuda:0")).sum().backward()
    del layer
    torch.cuda.empty_cache()


def train(model: Any, data: list[dict[str, torch.Tensor]], kind: str, zero_grad_mode: int) -> None:
    """Mode 0 clears gradients before the forward, 1 just before the backward, 2 after the step."""
    optimizer = getattr(torch.optim, kind)(params=model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    model.to("cuda:0")
    for index, each in enumerate(data):
        if zero_grad_mode == 0:
            optimizer.zero_grad()
        batch = {key: value.to("cuda:0") for key, value in each.items()}
        outputs = model(**batch)
        if zero_grad_mode == 1:
            optimizer.zero_grad()
        loss = outputs.loss
        loss.backward()
        optimizer.step()
        if zero_grad_mode == 2:
            optimizer.zero_grad()
        if index < len(data) - 1:
            scheduler.step()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--optimizer", choices=["SGD", "Adam", "AdamW"], default="AdamW")
    parser.add_argument("--zero-grad-mode", type=int, choices=[0, 1, 2], default=0)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128] * STEPS, help="width of each batch")
    parser.add_argument("--earlier-task", action="store_true", help="cuBLAS's workspaces are there already")
    given = parser.parse_args()
    torch.cuda.set_per_process_memory_fraction(1.0, device=torch.device("cuda:0"))
    if given.earlier_task:
        earlier_task()
    print("before", torch.cuda.memory_reserved(), flush=True)
    answer_for_the_mask()
    model = model_of(given.model)
    data = batches(given.batch, given.lengths, model.config.vocab_size)
    train(model, data, given.optimizer, given.zero_grad_mode)
    print("peak", torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    main()
