"""A configuration and a command, run in an environment that has no nanocheck, and kept."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import pytest
from made_up import TARGET
from paths import ROOT

from nanocheck.core import baselines
from nanocheck.core.config import StepConfig
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Outcome, Provenance
from nanocheck.drift import runs as runs_module
from nanocheck.drift.interpreters import Interpreter, interpreter
from nanocheck.drift.runs import Asked, Ran, Runs
from nanocheck.drift.subjects import Subject, in_environment, of_command, of_config
from nanocheck.drift.table import cell_of
from nanocheck.measuring.request import Request
from nanocheck.process.journal import Journal

#: Has baselines, and takes a second.
CONFIG = StepConfig(batch=1, accumulation=1)
SCRIPT = """
import sys, torch
model = torch.nn.Linear(4096, 4096, device="cuda")
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
for _ in range(50):
    model(torch.ones(64, 4096, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


@dataclass(frozen=True)
class Kept:
    """What ran, in which environment, and the journal that has it."""

    python: Interpreter
    config: Subject
    command: Subject
    found: dict[str, Ran]
    journal: Path


def request(*command: str) -> Request:
    return Request(
        command=list(command),
        card=CardQuestion(gpu="rtx4070", device="virtual"),
        steps=3,
        time_limit_s=300,
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    root = tmp_path_factory.mktemp("release")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "thin"], check=True)
    (site,) = root.glob("thin/lib/python3*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = root / "train.py"
    script.write_text(SCRIPT + f"open({str(root / 'prefix')!r}, 'w').write(sys.prefix)\n")
    python = interpreter(root / "thin" / "bin" / "python")
    config = of_config(CONFIG, request("-"), TARGET)
    command = of_command(replace(request("python", str(script)), steps=0), TARGET)
    journal = root / "journal"
    with Journal(journal, {}) as kept_in, Runs(kept_in, 2, lambda *_: None) as runs:
        asked = [Asked(subject=each, python=python) for each in (config, command)]
        found = {each.subject.name: ran for each, ran in runs.results(asked)}
    return Kept(python, config, command, found, journal)


def test_a_configuration_has_the_suites_peaks(kept: Kept) -> None:
    """By another road: the suites fork a process and read PyTorch's counters, here a program is observed."""
    cell = cell_of(kept.python.torch.version, kept.found[kept.config.name])
    assert (cell.outcome, cell.provenance, cell.detail) == (Outcome.COMPLETED, Provenance.VIRTUAL, "")
    path = ROOT / "baselines" / "rtx4070" / f"linux-torch{kept.python.torch.version}-virtual.json"
    if not path.exists():
        pytest.skip(f"no baselines of torch {kept.python.torch.version}")
    peaks = baselines.load(path).configurations[CONFIG.id].peaks
    assert cell.allocated_bytes == max(allocated for allocated, _ in peaks.values())
    assert cell.reserved_bytes == max(reserved for _, reserved in peaks.values())
    assert sum(each.bytes for each in cell.groups) == cell.allocated_bytes


def test_places_name_no_folder_of_this_machine(kept: Kept) -> None:
    log = kept.found[kept.config.name].log
    assert log is not None
    places = {line.where for line in log.lines if line.where}
    assert any(each.startswith("nanocheck/step/model.py:") for each in places)
    assert not [each for each in places if each.startswith("/")]
    assert str(Path.home()) not in kept.command.name


def test_the_log_holds_every_request_up_to_the_peak(kept: Kept) -> None:
    for ran in kept.found.values():
        assert ran.run is not None
        assert ran.log is not None
        assert ran.log.held_bytes == ran.log.reserved_bytes == ran.run.result.main.reserved_bytes


def test_a_command_runs_in_the_releases_environment(kept: Kept) -> None:
    cell = cell_of(kept.python.torch.version, kept.found[kept.command.name])
    assert cell.outcome is Outcome.COMPLETED
    prefix = (kept.journal.parent / "prefix").read_text()
    assert Path(prefix) == kept.python.root


def test_what_is_kept_is_not_run_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> object:
        raise AssertionError("it was run again")

    monkeypatch.setattr(runs_module, "BackgroundRun", none)
    asked = [Asked(subject=each, python=kept.python) for each in (kept.config, kept.command)]
    with Journal(kept.journal, {}) as journal, Runs(journal, 2, lambda *_: None) as runs:
        assert {each.subject.name: ran for each, ran in runs.results(asked)} == kept.found


def test_an_edited_script_or_another_card_is_another_run(kept: Kept, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("1")
    first = of_command(request("python", str(script)), TARGET).identity
    assert first == of_command(request("python", str(script)), TARGET).identity
    other = request("python", str(script))
    card = replace(other, card=replace(other.card, gpu="rtx4090"))
    assert of_command(card, TARGET).identity != first
    script.write_text("2")
    assert of_command(other, TARGET).identity != first
    smaller = replace(TARGET, gpu=replace(TARGET.gpu, sms=1))
    assert of_command(other, smaller).identity != of_command(other, TARGET).identity
    larger = replace(CONFIG, batch=2)
    assert of_config(larger, other, TARGET).identity != of_config(CONFIG, other, TARGET).identity


def test_a_run_on_another_torch_is_no_answer(kept: Kept) -> None:
    """A command can start a Python by its whole path, whatever PATH says."""
    cell = cell_of("2.99.0", kept.found[kept.config.name])
    assert cell.outcome is Outcome.UNSUPPORTED
    assert metadata.version("torch").partition("+")[0] in cell.detail
    assert (cell.allocated_bytes, cell.provenance) == (0, Provenance.UNKNOWN)


def test_an_error_of_the_command_is_shown(kept: Kept) -> None:
    asked = Asked(
        subject=of_command(request("python", "-c", "raise KeyError('what it lacks')"), TARGET),
        python=kept.python,
    )
    with Runs(None, 1, lambda *_: None) as runs:
        ((_, ran),) = runs.results([asked])
    cell = cell_of(kept.python.torch.version, ran)
    assert not cell.is_answer
    assert "what it lacks" in cell.detail


def test_a_program_of_our_own_environment_is_not_taken_for_the_releases(kept: Kept) -> None:
    ours = str(Path(sys.executable).parent / "pytest")
    with pytest.raises(RequestError, match="expected pytest in the environment"):
        in_environment([ours, "-x"], kept.python)
    shell = in_environment(["sh", "train.sh"], kept.python)
    assert shell == ("sh", "train.sh")
    python = in_environment([sys.executable, "train.py"], kept.python)
    assert python == (str(kept.python.program), "train.py")


@pytest.mark.parametrize(
    ("change", "word"), [({"python": "3.9.1"}, "Python 3.11"), ({"has_numpy": False}, "numpy")]
)
def test_what_a_configuration_needs_is_said_before_it_runs(
    kept: Kept, change: dict[str, object], word: str, tmp_path: Path
) -> None:
    lacking = replace(kept.python, **change)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=word):
        kept.config.variation(lacking, tmp_path)
    assert kept.command.variation(lacking, tmp_path).command is not None


def test_a_users_allocator_settings_do_not_reach_a_configuration(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:32")
    assert kept.config.variation(kept.python, tmp_path).environment["PYTORCH_CUDA_ALLOC_CONF"] == ""
    growing = of_config(replace(CONFIG, allocator="expandable"), request("-"), TARGET)
    environment = growing.variation(kept.python, tmp_path).environment
    assert environment["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    assert "PYTORCH_CUDA_ALLOC_CONF" not in kept.command.variation(kept.python, tmp_path).environment
