"""Every setting of the plugin: the option, else the ini value, else the default."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nanocheck
from nanocheck.core.baselines import writing_forbidden
from nanocheck.core.described_card import DescribedCard, described
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import RequestError
from nanocheck.core.options import CARD, CARD_OPTIONS, GPU, GPUS, RAY
from nanocheck.core.units import mib
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES

#: option -> (default as text, help). Each one is also an ini value, ``nanocheck_<name>``.
OPTIONS: Mapping[str, tuple[str, str]] = {
    **{option.pytest_flag: (option.default, option.help) for option in CARD_OPTIONS},
    "--nanocheck-matrix": ("suites/memory/matrix.toml", "the configurations to run, a TOML file"),
    "--nanocheck-stale": (
        "skip",
        "what a baseline of another environment does to its test: skip, or fail (for CI)",
    ),
    "--nanocheck-workers": ("2", "how many configurations run at once"),
    RAY.pytest_flag: (RAY.default, RAY.help),
    "--nanocheck-baselines": ("baselines", "the folder of expected peaks"),
    "--nanocheck-reports": ("reports", "the folder of reports"),
    "--nanocheck-journal": (".nanocheck", "the folder of journals, and of reports on a part of the matrix"),
    "--nanocheck-results": (
        "",
        "a folder for the results of a project's own tests, each as `nanocheck run --json` writes it",
    ),
}
FLAGS: Mapping[str, str] = {
    "--update-baselines": "accept what this run finds as what is expected (never under CI)",
    "--nanocheck-fresh": "compute everything again, whatever an interrupted run left in its journal",
}


def add_options(parser: pytest.Parser) -> None:
    """Registers every option and ini value."""
    group = parser.getgroup("nanocheck", "does this GPT training step fit a GPU")
    for option, (default, text) in OPTIONS.items():
        # default=None, so that an ini value is not silently overruled by an option nobody gave
        group.addoption(
            option, dest=_dest(option), default=None, help=f"{text} (default: {default or 'none'})"
        )
        parser.addini(_dest(option), f"default of {option}", default=default)
    for flag, text in FLAGS.items():
        group.addoption(flag, dest=_dest(flag), action="store_true", default=None, help=text)


def was_given(config: pytest.Config) -> bool:
    """Whether anybody asked for nanocheck on the command line."""
    return any(config.getoption(_dest(option)) is not None for option in (*OPTIONS, *FLAGS))


def _dest(option: str) -> str:
    name = option.removeprefix("--").removeprefix("nanocheck-").replace("-", "_")
    return f"nanocheck_{name}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a session works with; paths are absolute.

    ``own_matrix``: the matrix is the project's (ini or default), not one named for this run only, so a
    whole run of it may replace the report and remove unused baselines. ``results``: where a project's own
    tests leave theirs.
    """

    card: CardQuestion
    matrix: Path
    own_matrix: bool
    workers: int
    ray: str
    baselines: Path
    reports: Path
    journal: Path
    stale: str
    update: bool
    fresh: bool
    root: Path
    results: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Settings:
        """The settings of a pytest run.

        Raises:
            RequestError: an invalid value, or ``--update-baselines`` under CI.
        """
        values = {option: _text(config, option) for option in OPTIONS}
        in_words = described([values[CARD.pytest_flag]] if values[CARD.pytest_flag] else [])
        for each in in_words:
            if config.getoption(_dest(GPU.flag)) not in (None, each.id):
                raise RequestError(
                    f"expected {GPU.flag} or {CARD.pytest_flag}, found both", hint="leave one away"
                )
            values[GPU.flag] = each.id
        workers = values["--nanocheck-workers"]
        if not workers.isascii() or not workers.isdigit() or not 1 <= int(workers) <= 256:
            raise RequestError(f"--nanocheck-workers: expected a number from 1 to 256, found {workers!r}")
        given = config.getoption(_dest("--nanocheck-matrix"))
        own = _shipped(config.rootpath / str(config.getini(_dest("--nanocheck-matrix"))), config)
        matrix = config.invocation_params.dir / given if given is not None else own
        baselines = _path(config, "--nanocheck-baselines")
        update = bool(config.getoption(_dest("--update-baselines")))
        return cls(
            card=CardQuestion.of(
                {option: values[option.pytest_flag] for option in CARD_OPTIONS},
                (*_paths(config, "--nanocheck-gpus"), *in_words),
                in_pytest=True,
            ),
            matrix=matrix,
            own_matrix=matrix.resolve() == own.resolve(),
            workers=int(workers),
            ray=_ray(values[RAY.pytest_flag], config),
            # What a project stores becomes its own; until then those of the wheel are expected.
            baselines=baselines if update else _shipped(baselines, config),
            reports=_path(config, "--nanocheck-reports"),
            journal=_path(config, "--nanocheck-journal"),
            stale=_stale(values["--nanocheck-stale"]),
            update=update,
            fresh=bool(config.getoption(_dest("--nanocheck-fresh"))),
            root=config.rootpath,
            results=next(iter(_paths(config, "--nanocheck-results")), None),
        )

    @property
    def command_options(self) -> str:
        """What must be added to ``pytest suites/ --gpu ID`` to ask the same question again."""
        parts = []
        if self.card.platform != "linux":
            parts.append(f" --platform {self.card.platform}")
        if self.card.reserve_bytes:
            parts.append(f" --reserve {self.card.reserve_bytes}B")
        if self.card.device != "auto":
            parts.append(f" --device {self.card.device}")
        if self.card.margin_bytes != DEFAULT_MARGIN_BYTES:
            parts.append(f" --nanocheck-margin {self.card.margin_bytes}B")
        if not self.own_matrix:
            parts.append(f" --nanocheck-matrix {self.relative(self.matrix)}")
        for each in self.card.gpus:
            if isinstance(each, Path):
                parts.append(f" {GPUS.pytest_flag} {self.relative(each)}")
            elif isinstance(each, DescribedCard):
                parts.append(f" {CARD.pytest_flag} {shlex.quote(each.text)}")
        return "".join(parts)

    @property
    def command(self) -> str:
        """The command that asks the same question again."""
        return f"pytest suites/ --gpu {self.card.gpu}{self.command_options}"

    def relative(self, path: Path) -> str:
        """A path as the project's people write it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def lines(self) -> list[str]:
        """Every effective setting, for the header."""
        update = "yes" if self.update else "no (CI only reads baselines)" if writing_forbidden() else "no"
        return [
            f"nanocheck: margin {mib(self.card.margin_bytes)} MiB, "
            f"reserve {mib(self.card.reserve_bytes)} MiB, workers {self.workers}, "
            f"update baselines: {update}, fresh: {'yes' if self.fresh else 'no'}",
            f"nanocheck: matrix {self.relative(self.matrix)}, baselines {self.relative(self.baselines)}, "
            f"reports {self.relative(self.reports)}, journal {self.relative(self.journal)}"
            + "".join(f", cards {self.relative(each)}" for each in self.card.gpus if isinstance(each, Path)),
        ]


def _ray(address: str, config: pytest.Config) -> str:
    several = hasattr(config, "workerinput") or getattr(config.option, "dist", "no") != "no"
    if address and several:
        raise RequestError(
            f"{RAY.pytest_flag}: expected one pytest process, which hands its work to the cluster, found "
            "pytest-xdist's",
            hint="leave -n away: the nodes are the workers",
        )
    return address


def _stale(word: str) -> str:
    if word not in ("skip", "fail"):
        raise RequestError(f"--nanocheck-stale: expected skip or fail, found {word!r}")
    return word


def _text(config: pytest.Config, option: str) -> str:
    given: Any = config.getoption(_dest(option))
    return str(config.getini(_dest(option)) if given is None else given).strip()


def _path(config: pytest.Config, option: str) -> Path:
    """Relative to where the command was given, or to the project for what the ini file says."""
    base = config.rootpath if config.getoption(_dest(option)) is None else config.invocation_params.dir
    return base / _text(config, option)


def _shipped(path: Path, config: pytest.Config) -> Path:
    """A file or folder of the project; else, where it has none, the wheel's of that name."""
    package = Path(nanocheck.__file__).parent
    if path.exists() or not path.is_relative_to(config.rootpath):
        return path
    shipped = package / path.relative_to(config.rootpath)
    return shipped if shipped.exists() else path


def _paths(config: pytest.Config, option: str) -> tuple[Path, ...]:
    return (_path(config, option),) if _text(config, option) else ()
