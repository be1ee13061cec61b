"""Train ResNet-50 on random images (He et al., arXiv:1512.03385, table 1; version 1.5).

Printed at the end: ``reserved N`` and ``peak N``, PyTorch's own figures in bytes.
"""

import argparse

import torch
from torch import nn


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1, each with batch normalisation, around a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = None
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


def resnet50() -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
    ]
    layers.append(nn.MaxPool2d(3, 2, 1))
    channels = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, stride if block == 0 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--optimizer", choices=("sgd", "momentum", "adam"), default="sgd")
    parser.add_argument("--amp", choices=("none", "fp16"), default="none")
    parser.add_argument("--benchmark", action="store_true")
    arguments = parser.parse_args()
    torch.backends.cudnn.benchmark = arguments.benchmark
    model = resnet50().cuda()
    if arguments.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters())
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), 0.1, 0.9 if arguments.optimizer == "momentum" else 0.0
        )
    scaler = torch.amp.GradScaler("cuda", enabled=arguments.amp == "fp16")
    for _ in range(arguments.steps):
        images = torch.randn(arguments.batch, 3, arguments.size, arguments.size, device="cuda")
        labels = torch.randint(1000, (arguments.batch,), device="cuda")
        with torch.autocast("cuda", torch.float16, enabled=arguments.amp == "fp16"):
            loss = nn.functional.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    print("parameters", sum(each.numel() for each in model.parameters()))
    print("reserved", torch.cuda.max_memory_reserved())
    print("peak", torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    main()
