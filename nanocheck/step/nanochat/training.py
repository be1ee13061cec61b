"""The loops of nanochat's ``base_train.py`` and of autoresearch: their operations, order and names."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor

from nanocheck.step.nanochat.data import BufferedBatches, NanochatBatches
from nanocheck.step.nanochat.schedule import prepare_update
from nanocheck.step.training import Training


class NanochatTraining(Training):
    """No logits outlive their forward: the model returns the loss alone.

    ``train_loss`` keeps the last loss for a log line.
    """

    train_loss: Tensor | None = None

    def micro_batch(self, index: int) -> None:
        """Forward, backward, next batch; ``loss`` is afterwards the micro-batch's part of the step's."""
        self.enter("forward", index)
        with self.autocast:
            self.loss = cast(Tensor, self.network(self.x, self.y))
        self.train_loss = self.loss.detach()
        self.loss = self.loss / self.config.accumulation
        self.observe("forward", index)
        self.enter("backward", index)
        if self.scaler.is_enabled():
            self.scaler.scale(self.loss).backward()  # type: ignore[no-untyped-call]
        else:
            self.loss.backward()  # type: ignore[no-untyped-call]
        self.observe("backward", index)
        self.x, self.y = self.batches.next()

    def update(self) -> None:
        """Clip where the release does, change the parameters, drop the gradients."""
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer)
        self.clip()
        prepare_update(self.optimizer.param_groups, self.config)
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.network.zero_grad(set_to_none=True)

    def evaluate(self, eval_batches: int) -> dict[str, float]:
        """Mean loss in nats per byte of ``eval_batches`` validation batches: nanochat's ``evaluate_bpb``.

        Every token counts as one byte here, so that it is nats per token.
        """
        token_bytes = cast(NanochatBatches, self.batches).token_bytes
        total_nats = torch.tensor(0.0, dtype=torch.float32, device=token_bytes.device)
        total_bytes = torch.tensor(0, dtype=torch.int64, device=token_bytes.device)
        with self.autocast:
            for _ in range(eval_batches):
                x, y = self.batches.next("val")
                losses = self.network(x, y, reduction="none")
                losses = losses.view(-1)
                y = y.view(-1)
                (y.int() < 0).any().item()  # the original asks for targets to be ignored; there are none
                count = token_bytes[y]
                total_nats += (losses * (count > 0)).sum()
                total_bytes += count.sum()
        nats, counted = total_nats.item(), total_bytes.item()
        return {"val": nats / counted if counted else float("inf")}


class AutoresearchTraining(NanochatTraining):
    """nanochat's steps without clipping; evaluation is once, at the end, and leaves nothing behind."""

    evaluates_first: ClassVar[bool] = False

    def evaluate(self, eval_batches: int) -> dict[str, float]:
        """Mean loss in nats per byte: autoresearch's ``evaluate_bpb``, which adds up on the host.

        Every token counts as one byte here. The table of bytes and the loader live as long as the evaluation.
        """
        batches = cast(BufferedBatches, self.batches)
        with self.autocast:
            token_bytes = torch.ones(self.config.vocab_size, dtype=torch.int32).to(self.x.device)
            total_nats, total_bytes = 0.0, 0
            for _ in range(eval_batches):
                x, y = batches.next("val")
                losses = self.network(x, y, reduction="none").view(-1)
                y = y.view(-1)
                count = token_bytes[y]
                counted = count > 0
                total_nats += (losses * counted).sum().item()
                total_bytes += int(count.sum().item())
        batches.end("val")
        return {"val": total_nats / total_bytes if total_bytes else float("inf")}
