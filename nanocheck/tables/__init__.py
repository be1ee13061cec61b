"""Compatibility tables: settings x cards, from as few runs as prove them."""

from __future__ import annotations

from pathlib import Path

#: The settings that `nanocheck table` asks about unless others are named.
STANDARD = Path(__file__).with_name("standard.toml")
