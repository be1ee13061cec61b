"""Seconds of a matrix product: tiles on multiprocessors in whole waves, as units and power allow.

A library computes the result in tiles; each multiprocessor takes one, and the last wave may leave most of
them idle. Where there are few tiles, the sums are split (split-K) and added up through memory. The speed of
a tile is what the units issue, or what the board's power feeds: clocks fall until the watts suffice.
"""

from __future__ import annotations

import functools
import math

from nanocheck.core.kernels import Product
from nanocheck.timing.card import HALF, TENSOR, Card
from nanocheck.timing.constants import Constants

#: Rows, columns and how much of the units' speed a tile of that size reaches: small ones read their inputs
#: more often than they compute. The sizes are CUTLASS's; the last figure is a judgement, not measured.
_TILES = (
    (256, 128, 1.0),
    (128, 256, 1.0),
    (128, 128, 0.95),
    (128, 64, 0.82),
    (64, 128, 0.82),
    (64, 64, 0.65),
    (32, 64, 0.4),
)
_LARGEST_FP32_TILE = 128 * 128
#: Half-rate units wait for no input with tiles of at least this quality.
_EASY = 0.6
_SPLITS = (1, 2, 4, 8, 16)
_SHORTEST_SPLIT = 512
_ALIGNED = 8


def issue(card: Card, dtype: str, constants: Constants) -> float:
    """Operations a second that the units can issue, whatever the power."""
    if card.peak(dtype) == card.peak("float32"):  # no tensor unit for it
        small = card.capability in {(7, 5), (8, 0)}
        reached = constants["issue_fp32_64"] if small else constants.of("issue_fp32", card.generation)
        emulated = constants["emulated_bf16"] if dtype == "bfloat16" else 1.0
        return reached * emulated * card.peak("float32")
    if card.half_rate:
        # What exceeds 1 is GeForce's clock above the rated boost; other boards' rated boost is their highest.
        most = math.inf if card.memory == "gddr" else 1.0
        return min(most, constants["issue_tensor_half_rate"]) * card.peak(dtype)
    return constants.of("issue_tensor", card.generation) * card.peak(dtype)


def speed(card: Card, dtype: str, constants: Constants) -> float:
    """Operations a second of a large product under steady load."""
    share = _watts_share(card, dtype, constants)
    return float(issue(card, dtype, constants) * share ** constants["power_exponent"])


def joules_each(card: Card, dtype: str, constants: Constants) -> float:
    """Of one operation at that speed: at lower clocks and voltages it takes less."""
    share = _watts_share(card, dtype, constants)
    return float(_energy(card, dtype, constants) * share ** (1 - constants["power_exponent"]))


def _watts_share(card: Card, dtype: str, constants: Constants) -> float:
    """Of what the units would draw at their full clock, what the board can feed; at most 1."""
    needed = issue(card, dtype, constants) * _energy(card, dtype, constants)
    return min(1.0, (1 - constants["idle_power"]) * card.tgp_w / needed)


def _energy(card: Card, dtype: str, constants: Constants) -> float:
    """Joules of one operation at the full clock: TF32's are twice half precision's, at half its speed."""
    tensor = dtype in TENSOR and card.peak(dtype) != card.peak("float32")
    picojoule = constants.of("energy_tensor" if tensor else "energy_fp32", card.generation)
    return picojoule * 1e-12 * (2 if tensor and dtype not in HALF else 1)


@functools.lru_cache(maxsize=16384)
def product_seconds(card: Card, product: Product, dtype: str, constants: Constants) -> float:
    """Without the launch, and without what memory needs."""
    m, n, k, batch = product.m, product.n, product.k, product.batch
    if not m * n * k * batch:
        return 0.0
    one_sm = speed(card, dtype, constants) / card.sms
    best = math.inf
    for rows, columns, quality in _TILES:
        if dtype not in TENSOR and rows * columns > _LARGEST_FP32_TILE:
            continue
        reached = 1.0 if card.half_rate and quality > _EASY else quality
        tile = 2.0 * rows * columns * k / (one_sm * reached)
        tiles = math.ceil(m / rows) * math.ceil(n / columns) * batch
        for split in _SPLITS:
            if split > 1 and (k < _SHORTEST_SPLIT * split or batch > 1):
                break
            waves = math.ceil(tiles * split / card.sms)
            seconds = waves * (tile / split + constants["wave_overhead"] * 1e-6)
            if split > 1:  # partial sums in fp32, written and read
                seconds += 2 * 4 * m * n * split / card.bandwidth
            best = min(best, seconds)
    odd = dtype in HALF and (n % _ALIGNED or k % _ALIGNED or m % _ALIGNED)
    return best * (constants["odd_dimension"] if odd else 1.0)
