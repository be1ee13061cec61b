"""A card that the catalog does not hold, as a table of the catalog that is made of its own description."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nanocheck.core.files import write_atomically
from nanocheck.core.gpus import Gpu, find_gpu
from nanocheck.verify.sides import Side

FILE = "card.toml"
_READ = "read from the card itself by nanocheck verify"
#: What no process can read, and no peak hangs on: a step's computed time alone does.
_UNREAD = "not read: it is for computed step times only"


def own_card(side: Side, folder: Path, gpus: tuple[Path, ...]) -> tuple[Gpu, tuple[Path, ...]]:
    """The card that a side describes, and the files with further cards, of which the last is ``FILE``.

    Args:
        side: the real card; what its target says of it does not matter.
        folder: where the file is written.

    Raises:
        RequestError: its compute capability is not in the catalog either.
        MachineError: no process can use the card, or the file cannot be written.
    """
    card_id, text = catalog_table(side.describe().figures)
    path = folder / FILE
    write_atomically(path, text)
    return find_gpu(card_id, (*gpus, path)), (*gpus, path)


def catalog_table(figures: Mapping[str, Any]) -> tuple[str, str]:
    """The card's id, and a file for ``--gpus`` in which every figure says that it was read from the card.

    Args:
        figures: see ``sides.Machine``.
    """
    card_id = re.sub(r"[^a-z0-9]+", "-", str(figures["name"]).lower()).strip("-")
    known = {**figures, "tgp_w": figures["tgp_w"] or 1, "bf16_tflops": "none"}
    unread = {"bf16_tflops", *([] if figures["tgp_w"] else ["tgp_w"])}
    lines = [
        "# Made by nanocheck verify, since the catalog does not hold this card. Cards of the catalog have",
        "# sources that anybody can look up: CONTRIBUTING.md says how to add one.",
        f"[gpu.{card_id}]",
        *(f"{name} = {json.dumps(value)}" for name, value in known.items()),
        "",
        f"[gpu.{card_id}.sources]",
        *(f"{name} = {json.dumps(_UNREAD if name in unread else _READ)}" for name in known),
    ]
    return card_id, "\n".join(lines) + "\n"
