"""Four steps of DDP, started as people start it; each rank prints what its card held at most.

It knows nothing of nanocheck. ``srun python launched.py told FOLDER`` (or ``mpirun``);
``python launched.py spawned FOLDER`` as PyTorch's ImageNet example, where ``RANK`` is the number of the node;
``python launched.py lightning``; ``accelerate launch launched.py accelerate``;
``torchrun launched.py trainer``.
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WIDTH = 512


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 10))


def batches() -> DataLoader:
    return DataLoader(TensorDataset(torch.randn(128, WIDTH), torch.randint(0, 10, (128,))), batch_size=8)


def tell(rank: int, world: int) -> None:
    os.write(1, f"rank {rank} of {world}: {torch.cuda.max_memory_allocated()}\n".encode())


def train(rank: int, world: int, card: int, address: str) -> None:
    dist.init_process_group("nccl", init_method=address, rank=rank, world_size=world)
    torch.cuda.set_device(card)
    trained = nn.parallel.DistributedDataParallel(model().cuda(), device_ids=[card])
    optimizer = torch.optim.AdamW(trained.parameters())
    for _ in range(4):
        trained(torch.randn(8, WIDTH, device="cuda")).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    tell(rank, world)
    dist.barrier()
    dist.destroy_process_group()


def told() -> None:
    kinds = (
        ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    )
    names = next(each for each in kinds if each[0] in os.environ)
    rank, world = (int(os.environ[name]) for name in names[:2])
    local = os.environ.get("SLURM_LOCALID") or os.environ["OMPI_COMM_WORLD_LOCAL_RANK"]
    train(rank, world, int(local), f"file://{sys.argv[2]}/store")


def of_a_node(card: int) -> None:
    cards = torch.cuda.device_count()
    rank, world = int(os.environ["RANK"]) * cards + card, int(os.environ["WORLD_SIZE"]) * cards
    train(rank, world, card, f"file://{sys.argv[2]}/store")


def spawned() -> None:
    mp.spawn(of_a_node, nprocs=torch.cuda.device_count())


def by_accelerate() -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision="bf16")
    whole = model()
    trained, optimizer, data = accelerator.prepare(whole, torch.optim.AdamW(whole.parameters()), batches())
    for rows, classes in data:
        loss = nn.functional.cross_entropy(trained(rows), classes)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.gather(loss.detach())
    tell(accelerator.process_index, accelerator.num_processes)
    accelerator.end_training()


def by_lightning() -> None:
    import lightning

    class Trained(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model()

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            rows, classes = batch
            return nn.functional.cross_entropy(self.inner(rows), classes)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters())

    trainer = lightning.Trainer(
        accelerator="gpu",
        devices=torch.cuda.device_count(),
        strategy="ddp",
        max_steps=4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(Trained(), batches())
    tell(trainer.global_rank, trainer.world_size)


def by_trainer() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    rows = [{"input_ids": torch.arange(64), "labels": torch.arange(64)} for _ in range(64)]
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=4,
        max_steps=4,
        report_to=[],
        save_strategy="no",
    )
    small = GPT2Config(n_layer=2, n_embd=128, n_head=4, vocab_size=500, n_positions=64)
    Trainer(model=GPT2LMHeadModel(small), args=arguments, train_dataset=rows).train()
    tell(arguments.process_index, arguments.world_size)


WAYS = {
    "told": told,
    "spawned": spawned,
    "accelerate": by_accelerate,
    "lightning": by_lightning,
    "trainer": by_trainer,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
