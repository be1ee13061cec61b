"""DataLoader workers, pinned memory and non-blocking copies, as image training has them.

It knows nothing of nanocheck. ``python workers.py [--workers N] [--start fork|spawn|forkserver] [--steps N]``
"""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--start", default="fork")
parser.add_argument("--steps", type=int, default=6)
options = parser.parse_args()


class Images(Dataset):
    def __len__(self):
        return 8 * options.steps

    def __getitem__(self, index):
        return torch.full((3 * 32 * 32,), float(index)), index % 10


def main():
    device = torch.device("cuda")
    model = nn.Sequential(nn.Linear(3 * 32 * 32, 512), nn.GELU(), nn.Linear(512, 10)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler()
    loader = DataLoader(
        Images(),
        batch_size=8,
        num_workers=options.workers,
        pin_memory=True,
        persistent_workers=True,
        multiprocessing_context=options.start,
    )
    seen = []
    for images, labels in loader:
        assert images.is_pinned()
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        seen += labels.tolist()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert seen == [index % 10 for index in range(8 * options.steps)], seen
    print("peak", torch.cuda.max_memory_allocated())
    print("done", options.steps)


if __name__ == "__main__":
    main()
