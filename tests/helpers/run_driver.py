"""Calls ``launch`` in a process of its own, as the verb does.

Arguments: the folder, the time limit (0: none), the grace, then the command. How it ended goes to
``<folder>/ended.json``.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from nanocheck.process.launch import launch


def main() -> int:
    folder, limit, grace, *command = sys.argv[1:]
    ended = launch(command, dict(os.environ), Path(folder), float(limit) or None, float(grace))
    Path(folder, "ended.json").write_text(json.dumps(asdict(ended)))
    return ended.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
