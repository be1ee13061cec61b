"""Writes the parts of the documentation that come from the code. Run from anywhere; commit what changes."""

from __future__ import annotations

import json
from pathlib import Path

from nanocheck.report.run_file import json_schema

HERE = Path(__file__).parent


def main() -> None:
    (HERE / "run-result.schema.json").write_text(json.dumps(json_schema(), indent=1) + "\n")


if __name__ == "__main__":
    main()
