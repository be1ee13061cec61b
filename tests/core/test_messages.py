"""Lines of ours beside a script's output: what came from the script gives the terminal no orders."""

from __future__ import annotations

import io
import sys

import pytest

from nanocheck.core.messages import say

HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b[0m \u202egpj.exe\u202c\r\x08\x7f \x9b2J \ud800"


def test_what_a_terminal_would_obey_is_shown_instead(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"the script said {HOSTILE}")
    said = capsys.readouterr().err
    assert said.startswith("nanocheck: the script said \ufffd]0;title\ufffd\ufffd[31mred")
    assert said.endswith("\n")
    assert said[:-1].isprintable()


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_terminal_that_is_gone_costs_nothing(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    monkeypatch.setattr(sys, "stderr", Gone())
    say("anybody?")
