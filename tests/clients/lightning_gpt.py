"""A tiny GPT in PyTorch Lightning: fit with validation, checkpoints and gradient clipping.

It knows nothing of nanocheck. ``python lightning_gpt.py OUTPUT [--steps N]``
"""

import argparse

import lightning
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("output")
parser.add_argument("--steps", type=int, default=4)
options = parser.parse_args()

VOCABULARY, LENGTH, WIDTH = 4000, 128, 256


class TinyGpt(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens):
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.size(1), device=tokens.device)
        hidden = self.tokens(tokens) + self.positions.weight[: tokens.size(1)]
        return self.head(self.layers(hidden, mask=mask, is_causal=True))

    def loss(self, batch):
        (tokens,) = batch
        logits = self(tokens[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    def training_step(self, batch, index):
        loss = self.loss(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=3e-4)


lightning.seed_everything(0)
data = TensorDataset(torch.randint(0, VOCABULARY, (64, LENGTH)))
trainer = lightning.Trainer(
    accelerator="gpu",
    devices=1,
    precision="bf16-mixed",
    max_steps=options.steps,
    val_check_interval=2,
    limit_val_batches=2,
    gradient_clip_val=1.0,
    default_root_dir=options.output,
    logger=False,
)
trainer.fit(TinyGpt(), DataLoader(data, batch_size=8), DataLoader(data, batch_size=8))
print("peak", torch.cuda.max_memory_allocated())
print("done", trainer.global_step)
