"""What may be passed on says nothing about people, machines and folders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.anonymous import anonymous, known_names, portable

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


#: What others may read of it: relative paths, and the program or the script at the end of an absolute one.
PORTABLE = {
    "python /home/ada/p/train.py --data=/home/ada/x y": "python train.py --data=<path> y",
    "/home/ada/.venv/bin/python3.11 -m pkg.train": "python3.11 -m pkg.train",
    "gcc -I/opt/secret/include src/b.c": "gcc -I<path> src/b.c",
    "x = a / b // c; x /= 2; y = a/b": "x = a / b // c; x /= 2; y = a/b",
    "https://a.com/x/y, file:///home/ada/x and //home/ada/z": "https://a.com/x/y, <path> and <path>",
    "'/srv/Great Plans/train.py' \"/srv/a b/c\"": "'train.py' \"<path>\"",
    r"C:\Users\ada\x.py, \\share\ada\y": "x.py, <path>",
    "~/m/p.bin ~ada/x pkg/train.py:3 ../x": "<path> <path> pkg/train.py:3 ../x",
    'print("\\n/")': 'print("\\n/")',
    "by Ada on ADA-LAPTOP": "by <name> on <name>",
    "one\ttwo\n three\x1b[0m": "one two three\N{REPLACEMENT CHARACTER}[0m",
}


@pytest.mark.parametrize("text", PORTABLE)
def test_what_is_portable_keeps_what_others_can_find(text: str) -> None:
    assert portable(text, NAMES) == PORTABLE[text]


def test_a_path_below_this_folder_becomes_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert portable(f"python {tmp_path}/pkg/train.py", ()) == "python pkg/train.py"
    assert portable(f"python {tmp_path}2/pkg/data.bin", ()) == "python <path>"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_portable_text_is_one_line_and_stays_what_it_is(text: str) -> None:
    found = portable(text, NAMES)
    assert found.isprintable()
    assert portable(found, NAMES) == found


@given(
    st.lists(FOLDERS, min_size=2, max_size=5),
    st.sampled_from(("{}", "'{}'", "--x={}", "at {}:12: x", "({})")),
)
def test_no_folder_of_an_absolute_path_is_portable(parts: list[str], around: str) -> None:
    text = around.format("/" + "/".join(f"Q{each}" for each in parts[:-1]) + "/file")
    assert not re.search(r"Q[a-z0-9_.-]{3}", portable(text, ()))
