"""``python -m nanocheck``."""

from __future__ import annotations

from nanocheck.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
