"""``nanocheck gpus``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanocheck.cli import main
from nanocheck.cli.gpus import figures
from nanocheck.core.card_tables import CAPABILITY_FIGURES, FIGURES, PLATFORMS
from nanocheck.core.gpus import load_catalog

CARD = """
[gpu.rtx4070-modded]
name = "NVIDIA GeForce RTX 4070 24 GB"
capability = "8.9"
sms = 46
l2_mib = 36
bus_width_bits = 192
bandwidth_gb_s = 504.2
boost_mhz = 2475
memory_mhz = 10501
tgp_w = 200
bf16_tflops = "none"
nominal_mib = 24564
linux_usable_mib = 24000
context_mib = 430
[gpu.rtx4070-modded.sources]
specification = "a soldering iron"
bf16_tflops = "nobody asked"
nominal_mib = "its own nvidia-smi"
linux_usable_mib = "its own torch"
context_mib = "a guess"
"""


@pytest.fixture
def card_file(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(CARD)
    return str(path)


def test_the_overview_has_a_line_per_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    for gpu in load_catalog().values():
        assert gpu.name in lines[gpu.id]
    figures = lines["rtx4070"].partition("RTX 4070 ")[2].split()
    assert figures == ["8.9", "11.60", "11.99", "178", "to", "288", "504", "58"]


def test_two_drivers_are_two_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("rtx3060 "))
    assert line.partition("RTX 3060 ")[2].split()[:4] == ["8.6", "11.62", "to", "11.76"]


def test_what_is_predicted_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    for gpu in load_catalog().values():
        marks = sum(
            any(key.startswith(p) and "nominal_mib less" in gpu.sources[key] for key in gpu.sources)
            for p in PLATFORMS
        )
        assert lines[gpu.id].count("~") == marks, gpu.id
    assert main(["gpus", "rtx5060-ti"]) == 0
    assert " ".join(capsys.readouterr().out.split()).count("computed: nominal_mib less") == 2


def test_what_is_unknown_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("t4 "))
    assert line.partition("Tesla T4")[2].split() == ["7.5", "14.56", "-", "135", "320", "-"]


def test_every_figure_of_every_card_is_shown_with_its_source() -> None:
    for gpu in load_catalog().values():
        shown = figures(gpu)
        one = {*(f"{p}_usable_most_mib" for p in PLATFORMS), "host"} - set(gpu.sources)
        assert set(shown) == {*FIGURES, *CAPABILITY_FIGURES} - {"source"} - one
        assert {name for name, value in shown.items() if value == "unknown"} == set(shown) - set(gpu.sources)


def test_one_card_shows_its_sources(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["gpus", "RTX 4070"]) == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert "linux_usable_mib 11,874.00 MiB published total of the card under Linux" in words
    for source in load_catalog()["rtx4070"].sources.values():
        assert source in words
    assert max(map(len, text.splitlines())) <= 60


def test_a_users_file_adds_its_card(card_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus", "--gpus", card_file]) == 0
    assert "rtx4070-modded" in capsys.readouterr().out
    assert main(["gpus", "rtx4070-modded", "--gpus", card_file]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "bf16_tflops none nobody asked" in words
    assert "windows_usable_mib unknown nobody published it" in words


def test_json_is_whole_and_in_bytes(card_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus", "--json", "--gpus", card_file]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in everything] == [*load_catalog(), "rtx4070-modded"]
    assert main(["gpus", "rtx4070", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one in everything
    assert one["usable_bytes"] == {"linux": 11_874 << 20, "windows": 12_877_955_072}
    assert one["sources"]["bf16_tflops"].startswith("computed")


def test_an_unknown_card_names_close_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus", "rtx4070-max"]) == 2
    assert "expected a GPU of the catalog, found 'rtx4070-max'; close: rtx4070" in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["gpus", "--gpus", str(tmp_path / "none.toml")]) == 2
    assert "expected a readable catalog file, found: No such file" in capsys.readouterr().err
