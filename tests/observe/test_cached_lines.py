"""Compiled code that Inductor's cache has is named by the lines of the source as it is now."""

from __future__ import annotations

import textwrap
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from observing import observe

from nanocheck.observe.cached_lines import renewed

SCRIPT = """
    import torch

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = torch.nn.Linear(64, 768), torch.nn.Linear(768, 64)

        def forward(self, x):
            h = torch.nn.functional.gelu(self.up(x))
            return self.down(h * h.sigmoid()).square().mean()

    model = Model().cuda()
    compiled = torch.compile(model)
    for _ in range(2):
        compiled(torch.ones(1024, 64, device="cuda")).backward()
        model.zero_grad()
"""


def places(folder: Path, script: str) -> list[tuple[str, str | None, int]]:
    """Where each large buffer and each stack is, and with which text."""
    folder.mkdir()
    (process,) = observe(script, folder).judged().result.processes
    rows = [(row.where, row.line, row.bytes) for row in process.largest]
    return rows + [(frame.where, frame.line, row.bytes) for row in process.stacks for frame in row.frames]


def own(found: list[tuple[str, str | None, int]], less: int = 0) -> list[tuple[int, str | None, int]]:
    """The script's own lines."""
    lines = [(*where.split(":"), text, size) for where, text, size in found]
    return [(int(line) - less, text, size) for file, line, text, size in lines if file == "script.py"]


def test_a_copy_of_a_project_with_lines_more_is_named_by_its_own_file_and_lines(tmp_path: Path) -> None:
    script = textwrap.dedent(SCRIPT)
    first = places(tmp_path / "one", script)
    # The graph is the same, so its code comes from the cache.
    second = places(tmp_path / "two", "# a line more\n# and another\n" + script)
    assert any("gelu" in (text or "") for _, text, _ in second)
    assert sorted(own(second, less=2), key=str) == sorted(own(first), key=str)
    assert not [where for where, _, _ in first + second if where.startswith("/")]


NAMES = st.sampled_from(["a.py", "b.py"])
TEXTS = st.sampled_from(["x = f(y)", "return self.g(x)", "loss.backward()"])
FRAMES = st.lists(st.tuples(NAMES, st.integers(1, 99), st.sampled_from(["forward", "step"]), TEXTS))


def trace(folder: str, frames: list[tuple[str, int, str, str]], more: int = 0) -> str:
    return "".join(
        f'  File "{folder}/{file}", line {line + more}, in {function}\n    {text}\n'
        for file, line, function, text in frames
    )


@given(FRAMES, st.integers(0, 500))
def test_moved_lines_are_found_by_file_function_and_text(
    frames: list[tuple[str, int, str, str]], more: int
) -> None:
    alone = list(
        {
            (file, function, text): (file, line, function, text) for file, line, function, text in frames
        }.values()
    )
    now = {(file, function, text): {(f"/new/{file}", line + more)} for file, line, function, text in alone}
    assert renewed(trace("/old", alone), now) == trace("/new", alone, more)
    assert renewed(trace("/old", alone), {}) == trace("/old", alone)
    assert renewed(trace("/new", alone, more), now) == trace("/new", alone, more)
