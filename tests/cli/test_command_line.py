"""The command line itself: what it imports, how it fails, what it says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from paths import ROOT

from nanocheck.cli import VERBS, main
from nanocheck.core import errors


def nanocheck(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nanocheck", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["gpus"]])
def test_answers_without_importing_torch_pandas_or_pytest(arguments: list[str]) -> None:
    heavy = {"torch", "pandas", "numpy", "pytest", *(() if "gpus" in arguments else ("rich",))}
    code = (
        "import sys\nfrom nanocheck.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print({heavy} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stderr == "set()\n"
    assert done.stdout


def test_help_names_every_verb_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0
    for module in VERBS:
        assert module.__name__.rpartition(".")[2] in text
    for error in (errors.NanocheckError, errors.RequestError, errors.MachineError, errors.StoredDataError):
        assert f"\n  {error.exit_code}   " in text
    assert "\n  0   " in text
    assert "\n  130   " in text


def test_no_verb_is_a_wrong_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: nanocheck" in capsys.readouterr().err


def test_an_unknown_verb_is_argparses_two() -> None:
    done = nanocheck("advice")
    assert done.returncode == 2
    assert "invalid choice: 'advice'" in done.stderr


@pytest.mark.parametrize(
    "error", [errors.NanocheckError, errors.RequestError, errors.MachineError, errors.StoredDataError]
)
def test_an_error_is_told_on_stderr_and_gives_its_exit_code(
    error: type[errors.NanocheckError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error("expected one, found another", hint="do this")

    monkeypatch.setattr("nanocheck.core.gpus.load_catalog", fail)
    assert main(["gpus"]) == error.exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "nanocheck gpus: expected one, found another\n  hint: do this\n"


def test_an_error_gives_the_terminal_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "\x1b[31m\u202eh100"]) == 2
    said = capsys.readouterr().err
    assert "reports/\ufffd[31m\ufffdh100.json" in said
    assert said.replace("\n", "").isprintable()


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nanocheck.core.gpus.load_catalog", interrupt)
    assert main(["gpus"]) == 130
    assert capsys.readouterr().err == "nanocheck gpus: interrupted\n"


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nanocheck", "gpus"],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141
