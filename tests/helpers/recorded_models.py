"""Small models of many kinds, each with a step recorded on the virtual card.

Run as ``recorded_models.py FOLDER NAME ...``. Prints a JSON object: of each the tokens that it was given, as
its author would count them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nanocheck.observe import uncompiled_kernels
from nanocheck.observe.recording.execution_trace import StepTrace

WIDTH, BATCH, LENGTH, VOCABULARY = 64, 4, 32, 300
#: A step as a function that makes one micro-batch's loss, and the tokens of one.
Made = tuple[nn.Module, Callable[[nn.Module], torch.Tensor], int]


def tokens(*shape: int, most: int = VOCABULARY) -> torch.Tensor:
    """Any."""
    return torch.randint(0, most, shape, device="cuda")


def loss_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Over classes."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


class Gpt(nn.Module):
    """With learned positions, and segments where asked."""

    def __init__(
        self, vocabulary: int = VOCABULARY, *, segments: bool = False, positions: int = LENGTH
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(positions, WIDTH)
        self.segments = nn.Embedding(2, WIDTH) if segments else None
        self.block = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, vocabulary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.table(x) + self.positions(torch.arange(x.shape[-1], device="cuda"))
        if self.segments is not None:
            found = found + self.segments(torch.zeros_like(x))
        return self.head(found + self.block(found))


def gpt() -> Made:
    """As nanoGPT has it."""
    return (
        Gpt().cuda(),
        lambda model: loss_of(model(tokens(BATCH, LENGTH)), tokens(BATCH, LENGTH)),
        BATCH * LENGTH,
    )


def shifted() -> Made:
    """One sequence longer, inputs and targets views of it, which the model shifts itself."""

    def loss(model: nn.Module) -> torch.Tensor:
        text = tokens(BATCH, LENGTH)
        return loss_of(model(text)[:, :-1], text[:, 1:])

    return Gpt().cuda(), loss, BATCH * LENGTH


def bytes_() -> Made:
    """More positions than bytes: the table of positions is the larger."""
    made = Gpt(256, positions=2048).cuda()
    return (
        made,
        lambda model: loss_of(model(tokens(BATCH, LENGTH, most=256)), tokens(BATCH, LENGTH, most=256)),
        128,
    )


def masked() -> Made:
    """A masked language model, few of whose targets count."""

    def loss(model: nn.Module) -> torch.Tensor:
        targets = tokens(BATCH, LENGTH).masked_fill(torch.rand(BATCH, LENGTH, device="cuda") > 0.15, -100)
        return loss_of(model(tokens(BATCH, LENGTH)), targets)

    return Gpt(segments=True).cuda(), loss, BATCH * LENGTH


def classifier() -> Made:
    """A class for each sequence."""

    def loss(model: nn.Module) -> torch.Tensor:
        return loss_of(model(tokens(BATCH, LENGTH)).mean(1)[:, :7], tokens(BATCH, most=7))

    return Gpt().cuda(), loss, BATCH * LENGTH


def packed() -> Made:
    """Sequences in one row without a batch."""
    return Gpt(positions=256).cuda(), lambda model: loss_of(model(tokens(200)), tokens(200)), 200


class Bias(Gpt):
    """Attention's bias by distance is looked up for every pair, which are more than tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Embedding(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = super().forward(x)
        return found + self.bias(tokens(LENGTH, LENGTH, most=32)).mean()


def bias() -> Made:
    """As T5 has it."""
    return Bias().cuda(), lambda model: loss_of(model(tokens(1, LENGTH)), tokens(1, LENGTH)), LENGTH


def twice() -> Made:
    """Two forwards before a backward, through one table."""

    def loss(model: nn.Module) -> torch.Tensor:
        return sum(
            (loss_of(model(tokens(BATCH, LENGTH)), tokens(BATCH, LENGTH)) for _ in range(2)),
            torch.zeros((), device="cuda"),
        )

    return Gpt().cuda(), loss, 2 * BATCH * LENGTH


class Images(nn.Module):
    """Patches, and a table of their classes where asked."""

    def __init__(self, *, labels: bool) -> None:
        super().__init__()
        self.labels = nn.Embedding(10, WIDTH) if labels else None
        self.block = nn.Sequential(nn.Linear(48, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.block(x)
        if self.labels is not None:
            found = found + self.labels(tokens(len(x), most=10))[:, None]
        return self.head(found)


def images() -> Made:
    """No words at all."""
    patches = torch.randn(BATCH, LENGTH, 48, device="cuda")
    return (
        Images(labels=False).cuda(),
        lambda model: loss_of(model(patches).mean(1), tokens(BATCH, most=10)),
        0,
    )


def labelled() -> Made:
    """A diffusion transformer's classes."""
    patches = torch.randn(BATCH, LENGTH, 48, device="cuda")
    return Images(labels=True).cuda(), lambda model: model(patches).square().mean(), 0


MODELS: dict[str, Callable[[], Made]] = {
    "gpt": gpt,
    "shifted": shifted,
    "bytes": bytes_,
    "masked": masked,
    "classifier": classifier,
    "packed": packed,
    "bias": bias,
    "twice": twice,
    "images": images,
    "labelled": labelled,
}


def record(model: nn.Module, loss: Callable[[Any], torch.Tensor], folder: Path, *, compiled: bool) -> None:
    """The third step's trace."""
    run = torch.compile(model, dynamic=False) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters())
    trace = None
    for step in range(3):
        if step == 2:
            trace = StepTrace(str(folder))
        found = loss(run)
        if trace is not None:
            trace.mark("backward+")
        found.backward()
        if trace is not None:
            trace.mark("backward-")
            trace.mark("optimizer+")
        optimizer.step()
        optimizer.zero_grad()
        if trace is not None:
            trace.mark("optimizer-")
            assert trace.finish(), "something compiled in the recorded step"


def main(folder: Path, names: list[str]) -> None:
    """``compiled`` among the names compiles those after it."""
    torch.cuda.init()
    compiled, counted = False, {}
    for name in names:
        if name == "compiled":
            compiled = True
            uncompiled_kernels.install()
            continue
        (folder / name).mkdir()
        model, loss, count = MODELS[name]()
        record(model, loss, folder / name, compiled=compiled)
        counted[name] = count
    print(json.dumps(counted))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
