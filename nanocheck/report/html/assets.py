"""Files that become part of a page, and the policy that lets the page use them and nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path


@cache
def asset(name: str) -> str:
    """The text of a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def source_hash(source: str) -> str:
    """The source of a Content-Security-Policy that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
