"""To look at a function's variables keeps none of them alive: a tensor that is let go of is gone."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path

from observing import observe

from nanocheck.observe.frame_variables import variables


class Thing:
    pass


def test_what_a_function_lets_go_of_is_gone() -> None:
    thing = Thing()
    reference = weakref.ref(thing)
    seen = variables(sys._getframe())
    assert dict(seen)["thing"] is thing
    del seen, thing
    assert reference() is None


def test_what_the_script_itself_looks_at_stays() -> None:
    thing = Thing()
    held = locals()
    variables(sys._getframe())
    assert held["thing"] is thing


def test_a_module_keeps_its_names() -> None:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    before = dict(frame.f_globals)
    assert dict(variables(frame))
    assert frame.f_globals == before


def test_a_caught_out_of_memory_keeps_no_tensor_of_the_script(tmp_path: Path) -> None:
    script = """
        import torch

        def main():
            first = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
            try:
                torch.empty(1 << 40, device="cuda")
            except torch.OutOfMemoryError:
                pass
            del first
            second = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
            print("peak", torch.cuda.max_memory_allocated())

        main()
    """
    assert observe(script, tmp_path).printed()["peak"] == str(1 << 30)
