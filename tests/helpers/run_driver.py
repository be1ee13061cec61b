"""Calls ``launch`` in a process of its own, as the verb does.

Arguments: the folder, the time limit (0: none), the grace, then the command. How it ended goes to
``<folder>/ended.json``. With NANOCHECK_TEST_SCRATCH it has a folder of the run besides, as the verb has one.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from nanocheck.process.launch import launch
from nanocheck.process.scratch import Scratch


def main() -> int:
    folder, limit, grace, *command = sys.argv[1:]
    with contextlib.ExitStack() as stack:
        abandoned = lambda: None  # noqa: E731
        if os.environ.get("NANOCHECK_TEST_SCRATCH"):
            scratch = Scratch("run")
            stack.enter_context(scratch)
            abandoned = scratch.remove
        ended = launch(
            command, dict(os.environ), Path(folder), float(limit) or None, float(grace), abandoned=abandoned
        )
    Path(folder, "ended.json").write_text(json.dumps(asdict(ended)))
    return ended.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
