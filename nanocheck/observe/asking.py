"""A question to the nanocheck that was started: what it knows is not in this process.

Imported only by who asks: a Python that has no torch, or the right one, comes without ``subprocess``.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

_CODE = "import sys; sys.path.insert(0, {root!r}); from {room} import {module}; {module}.main()"


def ask(program: str, module: str, question: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """What ``main()`` of a module of nanocheck's answers, both as JSON; ``error`` where it gives no answer.

    Args:
        program: the Python of nanocheck.
        module: with its room, such as ``nanocheck.virtual.for_process``.
        seconds: to wait for it.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    room, _, name = module.rpartition(".")
    ours = ("PYTHON", "LD_", "NANOCHECK_RUN", "NANOCHECK_CARD")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    try:
        asked = subprocess.run(
            [program, "-c", _CODE.format(root=root, room=room, module=name)],
            input=json.dumps(question),
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=False,
        )
        return dict(json.loads(asked.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {"error": f"its nanocheck gave no answer: {error}"}
