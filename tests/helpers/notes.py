"""The claims of suites/claims, as a test can import them."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from paths import ROOT

from nanocheck.claims import Claim


def module(name: str) -> ModuleType:
    """A test module of suites/claims, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "suites" / "claims" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


NOTES = [module("test_nanogpt_note"), module("test_nanochat_note")]
CLAIMS = {each.id: each for note in NOTES for each in vars(note).values() if isinstance(each, Claim)}
