"""An environment for each release that was asked for: one that is there, or one that is made.

What is made lies in a folder of the cache, is used again, and is whole: an installation that failed or was
killed leaves nothing that would be taken for one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanocheck.core.errors import MachineError, NanocheckError, RequestError
from nanocheck.core.full_disk import writing_hint
from nanocheck.core.messages import say
from nanocheck.core.torch_versions import is_of, version_key
from nanocheck.drift import pip
from nanocheck.drift.interpreters import Interpreter, environments_in, interpreter
from nanocheck.virtual.cache import cache_folder
from nanocheck.virtual.installed_torch import find_torch

#: What one takes on the disk, in GiB as ``du`` counts, on Linux, x86-64, Python 3.11: 6.5 for torch 2.8.0,
#: 4.8 for 2.11.0 and 2.12.1, 4.7 for 2.13.0. What must be free: that, and the wheels while pip unpacks them.
TAKES_GB, NEEDS_GB = "5 to 7", 10
_WHOLE = "nanocheck-environment.json"
_MAKING = "nanocheck-is-making-this"


@dataclass(frozen=True, kw_only=True)
class Environments:
    """Where releases come from.

    Attributes:
        folder: of environments that are there, and where new ones are made; by default in the cache.
        pythons: programs by the version they are to stand for, or by ``""`` where nobody said.
        packages: what else is installed beside torch, as pip reads it.
        install: whether an environment is made where there is none.
    """

    folder: Path | None = None
    pythons: Sequence[tuple[str, Path]] = ()
    packages: tuple[str, ...] = ()
    install: bool = True
    _given: dict[Path, Interpreter] = field(default_factory=dict)

    def all(self, wanted: Sequence[str]) -> list[Interpreter]:
        """One for each version, and for each program that was named without one; the oldest torch first.

        Raises:
            RequestError: no such version, a program that is another version's, or two of one version.
            MachineError: it cannot be installed here, or has no CUDA.
        """
        found = [self.of(each) for each in wanted]
        found += [self._known(path) for version, path in self.pythons if not version]
        by_version: dict[str, Interpreter] = {}
        for each in found:
            by_version.setdefault(each.torch.version, each)
        if len(by_version) < 2:
            names = ", ".join(by_version) or "none"
            raise RequestError(
                f"expected at least two releases of PyTorch, found {names}", hint="--torch 2.9,2.11,2.14"
            )
        return sorted(by_version.values(), key=lambda each: version_key(each.torch.version))

    def of(self, wanted: str) -> Interpreter:
        """The Python of one release.

        Raises:
            RequestError, MachineError: see ``all``.
        """
        for version, path in self.pythons:
            if version == wanted:
                found = self._known(path)
                if not is_of(wanted, found.torch.version):
                    raise RequestError(
                        f"--python {wanted}=...: expected torch {wanted}, found {found.torch.version}"
                    )
                return found
        if not self.packages and _own_is(wanted):
            return self._known(Path(sys.executable))
        there = [each for each in environments_in(self._folder) if is_of(wanted, each[1])]
        there = [each for each in there if self._fits(each[0])]
        if there:
            root, _ = max(there, key=lambda each: version_key(each[1]))
            return interpreter(root / "bin" / "python", installed=(root / _WHOLE).exists())
        if not self.install:
            raise RequestError(
                f"--torch {wanted}: expected an environment with it, found none, and --no-install",
                hint=f"--python {wanted}=/path/to/python, or leave --no-install away",
            )
        return self._made(wanted)

    @property
    def _folder(self) -> Path:
        return self.folder or cache_folder() / "environments"

    def _known(self, path: Path) -> Interpreter:
        if path not in self._given:
            self._given[path] = interpreter(path)
        return self._given[path]

    def _fits(self, root: Path) -> bool:
        """Whether an environment is whole, and has what else was asked for."""
        marks = root / _WHOLE
        if not marks.exists():
            return not self.packages and not (root / _MAKING).exists()
        with contextlib.suppress(OSError, ValueError):
            return bool(json.loads(marks.read_text())["packages"] == sorted(self.packages))
        return False

    def _made(self, wanted: str) -> Interpreter:
        with _alone(self._folder):
            _sweep(self._folder)
            there = pip.versions(Path(sys.executable))
            version = pip.chosen(wanted, there)
            free = shutil.disk_usage(self._folder).free / 1e9
            if free < NEEDS_GB:
                raise MachineError(
                    f"--torch {wanted}: expected {NEEDS_GB} GB free for an environment, found {free:.1f} in "
                    f"{self._folder}",
                    hint="--environments FOLDER: elsewhere; --python VERSION=PATH: one that is here",
                )
            say(
                f"installing torch {version} into an environment of its own: about {TAKES_GB} GB on the "
                f"disk, half of that to download, some minutes; it stays in {self._folder}"
            )
            root = Path(tempfile.mkdtemp(prefix=f"torch-{version}-", dir=self._folder))
            try:
                (root / _MAKING).touch()
                pip.make(root, [f"torch==={version}", "numpy", *self.packages])
                found = interpreter(root / "bin" / "python", installed=True)
                (root / _WHOLE).write_text(json.dumps({"packages": sorted(self.packages)}) + "\n")
                (root / _MAKING).unlink()
            except NanocheckError as error:
                shutil.rmtree(root, ignore_errors=True)
                raise type(error)(f"--torch {wanted}: {error.problem}", hint=error.hint) from error
            except BaseException:
                shutil.rmtree(root, ignore_errors=True)
                raise
        return found


def parse_pythons(texts: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Of ``2.11=/path/to/python``, or a path alone."""
    found = []
    for text in texts:
        version, sign, path = text.partition("=")
        known = bool(sign) and version[:1].isdigit() and "/" not in version
        found.append((version, Path(path)) if known else ("", Path(text)))
    return tuple(found)


def _own_is(wanted: str) -> bool:
    with contextlib.suppress(MachineError):
        return is_of(wanted, find_torch().version)
    return False


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One installation at a time: two of one version would both be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MachineError(
            f"expected a folder for environments, found {folder}: {error.strerror or error}",
            hint=writing_hint(folder, error),
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _sweep(folder: Path) -> None:
    """Remove what a killed installation left; nobody else installs now."""
    for mark in folder.glob(f"torch-*/{_MAKING}"):
        shutil.rmtree(mark.parent, ignore_errors=True)
