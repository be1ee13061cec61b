"""How much of a card's memory drivers keep: the fit behind ``nanocheck/core/usable_memory.py``, its spread.

python benchmarks/fit_usable_memory.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nanocheck.core.gpus import load_catalog
from nanocheck.core.units import MIB
from nanocheck.core.usable_memory import LINUX_KEEPS, Kept, kind_of_memory

#: A card's nominal MiB, and the MiB kept of it in each reading.
Row = tuple[float, tuple[float, ...]]


def readings(platform: str = "linux") -> dict[str, dict[str, Row]]:
    """Kind of memory -> card -> what was read of it; computed figures are left out."""
    found: dict[str, dict[str, Row]] = {kind: {} for kind in LINUX_KEEPS}
    for gpu in load_catalog().values():
        capability = f"{gpu.capability[0]}.{gpu.capability[1]}"
        kind = kind_of_memory(capability, gpu.bus_width_bits)
        sides = (
            (f"{platform}_usable_mib", gpu.usable_bytes),
            (f"{platform}_usable_most_mib", gpu.usable_most_bytes),
        )
        kept = tuple(
            (gpu.nominal_bytes - size[platform]) / MIB
            for name, size in sides
            if name in gpu.sources and not gpu.sources[name].startswith("computed: nominal")
        )
        if kept:
            found[kind][gpu.id] = (gpu.nominal_bytes / MIB, kept)
    return found


def fit(rows: Sequence[Row]) -> Kept:
    """Least squares of the logarithms; the range is that of all readings."""
    points = [(math.log(nominal), math.log(each)) for nominal, kept in rows for each in kept]
    mean_x, mean_y = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    squares = sum((x - mean_x) ** 2 for x, _ in points)
    power = sum((x - mean_x) * (y - mean_y) for x, y in points) / squares
    offset = mean_y - power * mean_x
    left = [y - offset - power * x for x, y in points]
    return Kept(math.exp(offset), power, math.exp(min(left)), math.exp(max(left)))


def outside_mib(kept: Kept, rows: Sequence[Row]) -> list[float]:
    """For each reading, by how many MiB it lies outside the predicted range; 0 inside."""
    found = []
    for nominal, readings_of_card in rows:
        least, most = kept.range_mib(nominal)
        found += [max(least - each, each - most, 0.0) for each in readings_of_card]
    return found


def left_out(cards: Mapping[str, Row]) -> list[float]:
    """``outside_mib`` of each card's readings by the fit to all others."""
    found = []
    for name, row in cards.items():
        found += outside_mib(fit([other for each, other in cards.items() if each != name]), [row])
    return found


def split(cards: Mapping[str, Row]) -> list[float]:
    """``outside_mib`` of every second card, in the order of their names, by the fit to the others."""
    names = sorted(cards)
    return outside_mib(fit([cards[each] for each in names[::2]]), [cards[each] for each in names[1::2]])


def main() -> None:
    print(
        f"{'':10} cards readings  factor  power  least   most   left out one by one   other half of the cards"
    )
    for kind, cards in readings().items():
        if kind == "shared":
            shares = [each / nominal for nominal, kept in cards.values() for each in kept]
            print(
                f"{kind:10} {len(cards):5} {len(shares):8}  kept {min(shares):.2%} to {max(shares):.2%} of it"
            )
            continue
        found = fit(list(cards.values()))
        said = []
        for outside in (left_out(cards), split(cards)):
            inside = sum(each == 0 for each in outside)
            said.append(f"{inside:3} of {len(outside):2} in, worst {max(outside):3.0f} MiB")
        count = sum(len(kept) for _, kept in cards.values())
        print(
            f"{kind:10} {len(cards):5} {count:8} {found.factor:7.2f} {found.power:6.3f} {found.least:6.3f} "
            f"{found.most:6.3f}   {'   '.join(said)}"
        )
    kept = [each for cards in readings("windows").values() for _, row in cards.values() for each in row]
    print(f"windows    {len(kept):14} readings: {min(kept):.2f} to {max(kept):.2f} MiB kept")


if __name__ == "__main__":
    main()
