"""Options, ini values and the help: what a user may say to `pytest suites/`, and what the header answers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from paths import ROOT
from plugin_project import Project


def test_the_header_says_virtual_and_every_setting(settled: Project) -> None:
    settled.run("suites/", "--reserve", "1GiB", "--nanocheck-margin", "256MiB").stdout.fnmatch_lines(
        [
            "nanocheck: rtx4070 (NVIDIA GeForce RTX 4070), linux: VIRTUAL: no GPU runs * (--device virtual)",
            "nanocheck: capacity 11,874.00 MiB, context *",
            "nanocheck: margin 256.00 MiB, reserve 1,024.00 MiB, workers 2, update baselines: no, fresh: no",
            "nanocheck: matrix suites/memory/matrix.toml, baselines baselines, reports reports, journal *",
        ]
    )


def test_without_any_option_the_header_still_stands_above_the_suite(settled: Project) -> None:
    for arguments in ((), ("suites/memory/test_memory.py",)):
        result = settled.run(*arguments, device="")
        assert result.stdout.str().count("nanocheck: rtx4070 (NVIDIA GeForce RTX 4070), linux: ") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpu", "rtx407"), "*rtx4070*"),
        (("--platform", "beos"), "*--platform: expected one of linux, windows, found 'beos'*"),
        (("--device", "quantum"), "*--device: expected one of auto, real, virtual, found 'quantum'*"),
        (("--reserve", "much"), "*--reserve: expected a size such as*"),
        (("--reserve", "64GiB"), "*--reserve: expected less than the card's*"),
        (("--nanocheck-margin", "-1"), "*--nanocheck-margin: expected a size*"),
        (("--nanocheck-workers", "none"), "*--nanocheck-workers: expected a number*"),
        (("--nanocheck-matrix", "nowhere.toml"), "*expected a matrix at *nowhere.toml*"),
        (("--nanocheck-gpus", "nowhere.toml"), "*nowhere.toml*"),
        (("--nanocheck-card", "memroy=24GiB"), "*--card: expected word=value with *, found 'memroy=24GiB'*"),
        (("--gpu", "t4", "--nanocheck-card", "name=x, like=t4"), "*expected --gpu or --nanocheck-card*"),
    ],
)
def test_a_wrong_option_is_a_usage_error_with_its_message(
    project: Project, arguments: tuple[str, ...], said: str
) -> None:
    result = project.run("suites/", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + "\n" + result.stderr.str()
    pytest.LineMatcher(text.splitlines()).fnmatch_lines([said])
    assert "Traceback" not in text
    assert project.lines("submitted") == []


def test_an_ini_value_is_the_default_and_an_option_overrules_it(project: Project) -> None:
    (project.path / "pytest.ini").write_text("[pytest]\nnanocheck_gpu = rtx4090\nnanocheck_margin = 1GiB\n")
    result = project.run("suites/", "--nanocheck-margin", "2GiB")
    result.stdout.fnmatch_lines(["nanocheck: rtx4090 (*", "nanocheck: margin 2,048.00 MiB*"])


def test_a_card_in_words_is_the_card_of_the_suite(project: Project) -> None:
    words = "name=My card, memory=24GiB, like=rtx4090"
    result = project.run("suites/", "--nanocheck-card", words)
    result.stdout.fnmatch_lines(["nanocheck: my-card (My card), linux: VIRTUAL*"])
    # A command that asks the same again has the words in it.
    assert (
        "--gpu my-card --device virtual --nanocheck-card 'name=My card, memory=24GiB" in result.stdout.str()
    )


def test_real_without_a_card_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nanocheck.core.device_selection._DRIVER_QUERY", 'print(\'{"why": "no NVIDIA driver was found"}\')'
    )
    result = project.run("suites/", device="real")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--device real: expected NVIDIA GeForce RTX 4070, found none" in result.stderr.str()


# --- quiet where nobody asked -----------------------------------------------------------------------------


def test_the_plugin_is_silent_where_no_test_uses_it(project: Project) -> None:
    (project.path / "test_other.py").write_text("def test_it():\n    pass\n")
    result = project.run("test_other.py", device="")
    result.assert_outcomes(passed=1)
    # pytest's own line of plugins names every installed distribution.
    assert not [line for line in result.outlines if "nanocheck" in line and not line.startswith("plugins:")]
    assert not (project.path / ".nanocheck").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["--collect-only", "-q", "suites"]])
def test_neither_help_nor_collection_imports_torch_or_pandas(project: Project, arguments: list[str]) -> None:
    (project.path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('HEAVY', sorted({'torch', 'pandas', 'numpy', 'tabulate'} & set(sys.modules)))\n"
    )
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "-p",
            "nanocheck.pytest_plugin.plugin",
            "-p",
            "no:hypothesispytest",
            *arguments,
        ],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "HEAVY []" in result.stdout, result.stdout + result.stderr


def test_every_option_is_listed_in_the_help(project: Project) -> None:
    text = project.run("--help", device="").stdout.str()
    for option in ("--gpu", "--device", "--platform", "--reserve", "--update-baselines", "--nanocheck-fresh"):
        assert option in text
    assert "nanocheck_margin" in text


def test_the_entry_point_has_the_name_that_does_not_clash_with_pytest_plugins() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert (
        '[project.entry-points.pytest11]\n"nanocheck.pytest_plugin.plugin" = "nanocheck.pytest_plugin.plugin"'
        in text
    )
