"""What ``nanocheck run`` does, from Python: for notebooks, scripts and tools."""

from __future__ import annotations

from nanocheck.api.answer import Answer
from nanocheck.api.running import measure, run

__all__ = ["Answer", "measure", "run"]
