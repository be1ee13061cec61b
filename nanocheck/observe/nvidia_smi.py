"""What ``nvidia-smi`` says of the virtual cards: a program of its own, run by bin/nvidia-smi.

It reads the cards from ``NANOCHECK_CARD`` and what each process holds from the files ``used-<pid>`` that the
virtual GPU keeps in ``$NANOCHECK_RUN``. What nobody knows of a virtual card (fan, power, ECC) is ``[N/A]``,
as on cards without a sensor. Only the standard library: any Python 3.9 can run it.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

MIB = 1 << 20
#: A number, because programs compare it; NVML answers the same.
DRIVER = "580.00"
UNKNOWN = "[N/A]"
_UNITS = {"memory": "MiB", "utilization": "%", "clocks": "MHz", "power": "W"}
_HELP = """nvidia-smi of nanocheck's virtual card. Answers:
  nvidia-smi | -L | -q | --version
  nvidia-smi --query-gpu=name,memory.used,... --format=csv[,noheader][,nounits] [-i 0,1]
  nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv[,...]"""


def uuid(index: int) -> str:
    """Of the card of this number; NVML answers the same."""
    return f"GPU-6e616e6f-6368-6563-6b76-6972747561{0x6C ^ index:02x}"


def bus_id(index: int) -> str:
    """The same for its place on the bus."""
    return f"00000000:{index + 1:02X}:00.0"


def machine(text: str, cards: int) -> list[dict[str, str]]:
    """The ``key=value`` lines of ``NANOCHECK_CARD`` for each card; [] where none has been chosen.

    An empty line parts its kinds, each of which says how many ``cards`` are like it; more are like the last.
    """
    kinds = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")
    ]
    if "total_bytes" not in kinds[-1]:
        return []
    found = [kind for kind in kinds for _ in range(int(kind.get("cards", "1")))]
    return (found + [kinds[-1]] * cards)[:cards]


def processes(folder: str | None, index: int) -> list[tuple[int, int]]:
    """(pid, bytes) of every live process that holds memory of the card of this number."""
    found = []
    for path in sorted(Path(folder).glob("used-*")) if folder else ():
        number = path.name.partition("-")[2]
        if number.isdigit() and Path("/proc", number).exists():
            data = path.read_bytes()
            if len(data) >= 8 * (index + 1):
                found.append((int(number), struct.unpack_from("<Q", data, 8 * index)[0]))
    return [(pid, size) for pid, size in found if size]


def values(card: dict[str, str], held: Iterable[tuple[int, int]], index: int, cards: int) -> dict[str, str]:
    """What can be queried of a card, without units; sizes in MiB as nvidia-smi rounds them: down."""
    total = int(card["total_bytes"])
    used = min(total, int(card["reserve_bytes"]) + sum(size for _, size in held))
    clocks = {"sm": int(card["clock_khz"]) // 1000, "mem": int(card["memory_khz"]) // 1000}
    clocks.update(gr=clocks["sm"], graphics=clocks["sm"], memory=clocks["mem"])
    known = {
        "index": str(index),
        "count": str(cards),
        "name": card["name"],
        "gpu_name": card["name"],
        "uuid": uuid(index),
        "gpu_uuid": uuid(index),
        "driver_version": DRIVER,
        "compute_cap": f"{card['major']}.{card['minor']}",
        "pci.bus_id": bus_id(index),
        "gpu_bus_id": bus_id(index),
        "memory.total": str(total // MIB),
        "memory.used": str(used // MIB),
        "memory.free": str((total - used) // MIB),
        "memory.reserved": "0",
        "utilization.gpu": "0",  # nothing is ever executed
        "utilization.memory": "0",
        "temperature.gpu": "30",
        "pstate": "P0",
        "compute_mode": "Default",
        "persistence_mode": "Disabled",
        "display_active": "Disabled",
        "display_mode": "Disabled",
        "timestamp": time.strftime("%Y/%m/%d %H:%M:%S.000"),
    }
    for kind, number in clocks.items():
        for key in (f"clocks.{kind}", f"clocks.current.{kind}", f"clocks.max.{kind}"):
            known[key] = str(number)
    return known


def csv(names: Sequence[str], rows: Sequence[dict[str, str]], options: Sequence[str]) -> str:
    """The table that ``--format=csv`` with these further options asks for."""

    def unit(name: str) -> str:
        head = "memory" if name == "used_memory" else name.partition(".")[0]
        return _UNITS.get(head, "")

    lines = []
    if "noheader" not in options:
        lines.append(", ".join(f"{name} [{unit(name)}]" if unit(name) else name for name in names))
    for row in rows:
        cells = []
        for name in names:
            value = row.get(name, UNKNOWN)
            plain = value == UNKNOWN or "nounits" in options or not unit(name)
            cells.append(value if plain else f"{value} {unit(name)}")
        lines.append(", ".join(cells))
    return "\n".join(lines)


def applications(held: Iterable[tuple[int, int]], index: int) -> list[dict[str, str]]:
    """One row for each process of a card, as ``--query-compute-apps`` knows them."""
    rows = []
    for pid, size in held:
        name = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]) or UNKNOWN
        used = str(size // MIB)
        rows.append(
            {
                "pid": str(pid),
                "process_name": name,
                "name": name,
                "used_memory": used,
                "used_gpu_memory": used,
            }
        )
        rows[-1].update(index=str(index), gpu_uuid=uuid(index), gpu_name=UNKNOWN, gpu_bus_id=bus_id(index))
    return rows


def table(cards: Sequence[dict[str, str]], apps: Sequence[dict[str, str]]) -> str:
    """What ``nvidia-smi`` alone prints, in its columns."""
    rule = "+" + "-" * 41 + "+" + "-" * 24 + "+" + "-" * 22 + "+"
    wide = "+" + "-" * 89 + "+"
    lines = [
        wide,
        f"| {f'NVIDIA-SMI {DRIVER}   Driver Version: {DRIVER}   (virtual: nanocheck)':<87} |",
        rule,
        f"| {'GPU  Name':<39} | {'Bus-Id':<22} | {'GPU-Util  Compute M.':<20} |",
        f"| {'Fan  Temp   Perf':<39} | {'Memory-Usage':>22} | {'':<20} |",
        rule.replace("-", "="),
    ]
    for known in cards:
        memory = f"{known['memory.used']}MiB / {known['memory.total']}MiB"
        name = f"{known['index']:>3}  {known['name'][:34]}"
        lines += [
            f"| {name:<39} | {known['gpu_bus_id']:<22} | {'':<20} |",
            f"| {'N/A   30C    P0':<39} | {memory:>22} | {'0%      Default':>20} |",
            rule,
        ]
    lines += [
        "",
        wide,
        f"| {'Processes:':<87} |",
        f"| {'GPU   PID     Type   Process name':<66} {'GPU Memory':>20} |",
        wide.replace("-", "="),
    ]
    for app in apps:
        left = f"{app['index']:>3}   {app['pid']:<8}  C   {app['process_name'][-44:]}"
        lines.append(f"| {left:<66} {app['used_memory'] + 'MiB':>20} |")
    if not apps:
        lines.append(f"| {'No running processes found':<87} |")
    return "\n".join([*lines, wide])


def option(arguments: Sequence[str], *names: str) -> str | None:
    """The value of ``--name=value``, ``--name value`` or ``-n value``."""
    for at, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if key in names:
            return value if equals else "".join(arguments[at + 1 : at + 2])
    return None


def main(arguments: Sequence[str]) -> int:
    """Print what was asked for; the exit codes are nvidia-smi's (9: no card, 2: a wrong request)."""
    cards = machine(os.environ.get("NANOCHECK_CARD", ""), int(os.environ.get("NANOCHECK_CARDS", "1")))
    if not cards:
        print("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
        return 9
    wanted = option(arguments, "-i", "--id")
    names = None if wanted is None else [each.strip() for each in wanted.split(",")]
    chosen = [
        index
        for index in range(len(cards))
        if names is None or {str(index), uuid(index), bus_id(index)} & set(names)
    ]
    if not chosen:
        print("No devices were found")
        return 6
    held = {index: processes(os.environ.get("NANOCHECK_RUN"), index) for index in chosen}
    known = [values(cards[index], held[index], index, len(cards)) for index in chosen]
    apps = [row for index in chosen for row in applications(held[index], index)]
    queried = option(arguments, "--query-gpu")
    about = option(arguments, "--query-compute-apps", "--query-accounted-apps")
    options = [each.strip() for each in (option(arguments, "--format") or "").split(",")]
    if queried is not None or about is not None:
        if "csv" not in options:
            print('"--format=" is a required option with the query options, e.g. --format=csv')
            return 2
        names = [each.strip() for each in (queried or about or "").split(",")]
        text = csv(names, known if queried is not None else apps, options)
    elif {"-L", "--list-gpus"} & set(arguments):
        text = "\n".join(f"GPU {each['index']}: {each['name']} (UUID: {each['uuid']})" for each in known)
    elif {"-h", "--help"} & set(arguments):
        text = _HELP
    elif "--version" in arguments:
        text = (
            f"NVIDIA-SMI version  : {DRIVER}\nNVML version        : {DRIVER}\nDRIVER version      : {DRIVER}"
        )
    elif {"-q", "--query"} & set(arguments):
        text = "\n\n".join(
            "\n".join(f"{name:<40}: {value}" for name, value in each.items()) for each in known
        )
    else:  # also for -l and its kin, which would never end
        text = table(known, apps)
    if text:
        print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
