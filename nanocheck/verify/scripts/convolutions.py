"""A small residual network in 16-bit autocast: cuDNN's convolutions and batch norm."""

import last_words
import torch
from torch import Tensor, nn
from torch.nn import functional

last_words.at_exit()
torch.manual_seed(1)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.layers(x))


widths = (64, 128, 256)
layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 7, stride=2, padding=3)]
for before, width in zip((widths[0], *widths), widths, strict=False):
    layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), Block(width), Block(width)]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 1000)).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for _ in range(5):
    images, labels = torch.randn(16, 3, 224, 224).cuda(), torch.randint(1000, (16,)).cuda()
    with torch.autocast("cuda", dtype=torch.float16):
        loss = functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
