"""Where things are."""

from __future__ import annotations

from pathlib import Path

HELPERS = Path(__file__).resolve().parent
TESTS = HELPERS.parent
ROOT = TESTS.parent
#: Programs that know nothing of nanocheck.
CLIENTS = TESTS / "clients"
#: C programs that call the virtual GPU.
CSRC = TESTS / "csrc"
#: First on PYTHONPATH of every Python that a test starts; it says why.
QUICK = HELPERS / "quick"
