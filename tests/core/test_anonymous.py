"""What may be passed on says nothing about people, machines and folders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.anonymous import anonymous, known_names

NAMES = ("ada", "ada-laptop", "/home/ada", "/srv/Great Plans")
SAMPLES = {
    "cannot open '/home/ada/.cache/x y/lib.so': no such file": ("ada", "x y", "lib.so"),
    "OSError: [Errno 28] No space left on device: /scratch/ada/tmp1": ("scratch", "ada"),
    "gcc -I/opt/secret/include failed on ada-laptop": ("secret", "laptop"),
    'File "/srv/Great Plans/train.py", line 3': ("Great", "train"),
    "moved to ~/models/private.bin, or $HOME/private": ("models", "private"),
    "by Ada on ADA-LAPTOP": ("ada", "laptop"),
    "see ../../ada2/notes.txt": ("notes",),
}


@pytest.mark.parametrize("text", SAMPLES)
def test_paths_and_names_are_taken_out(text: str) -> None:
    found = anonymous(text, NAMES)
    for secret in SAMPLES[text]:
        assert secret.lower() not in found.lower(), found


FOLDERS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.", min_size=3, max_size=12)


@given(
    st.lists(FOLDERS, min_size=2, max_size=5), st.sampled_from(("{}", "'{}'", '"{}"', "at {}:12: x", "({})"))
)
def test_no_part_of_an_absolute_path_is_left(parts: list[str], around: str) -> None:
    text = around.format("/" + "/".join(f"Q{each}" for each in parts))
    assert not re.search(r"Q[a-z0-9_.-]{3}", anonymous(text, ()))


def test_the_sentence_stays_readable() -> None:
    text = "CUDA error: out of memory and/or a launch failure, asked for 2097152 bytes (error 2)"
    assert anonymous(text, NAMES) == text


def test_only_the_first_line_is_kept_and_it_cannot_give_orders() -> None:
    found = anonymous("boom \x1b[31mred\nFile /x/y", ())
    assert "\n" not in found
    assert "\x1b" not in found


def test_this_machines_own_names_are_known() -> None:
    assert not anonymous(f"in {Path.cwd()} of {Path.home()}/x", known_names()).count("/")
