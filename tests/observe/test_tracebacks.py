"""An error of the script looks under observation as it does without: none of our frames is in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from observing import observe

#: Modules in modules, of which the innermost fails on behalf of another error.
FAILING = """
import sys, torch
from torch import nn
class Inner(nn.Module):
    def forward(self, x):
        try:
            return {}["missing"]
        except KeyError as error:
            raise ValueError("no such thing") from error
class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(Inner(), nn.Linear(2, 2))
    def forward(self, x):
        return self.inner(x)
model = Outer().to(sys.argv[1])
try:
    model(torch.zeros(2, 2, device=sys.argv[1]))
except ValueError:
    raise RuntimeError("so it ends")
"""


def test_the_traceback_is_the_scripts_own(tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    script = tmp_path / "failing.py"
    script.write_text(FAILING)
    alone = subprocess.run(
        [sys.executable, str(script), "cpu"], capture_output=True, text=True, timeout=120, check=False
    )
    assert alone.stderr.count("_wrapped_call_impl") == 3
    seen = observe(script, tmp_path / "seen", "cuda")
    assert seen.ending.exit_code == 1
    assert seen.stderr == alone.stderr
