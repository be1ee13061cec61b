"""A git revision in a folder of its own, for the time of a run: the user's checkout is only read.

It is a worktree of the repository, so that the program finds its history; hooks do not run. Files that git
does not know, and submodules, are not in it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.process.scratch import Scratch

#: Where git tells its hooks that repository and index are: a checkout of ours must not write there.
_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Repository:
    """The one we stand in.

    Attributes:
        root: its top folder. prefix: where we stand in it.
    """

    root: Path
    prefix: Path

    @classmethod
    def here(cls) -> Repository:
        """
        Raises:
            RequestError: we stand in none.
            MachineError: there is no git.
        """
        try:
            root = _git("rev-parse", "--show-toplevel")
            prefix = _git("rev-parse", "--show-prefix")
        except RequestError as error:
            raise RequestError(
                f"--at: expected a git repository here, found: {error.problem}",
                hint="go to the project's folder, or compare two files",
            ) from error
        return cls(Path(root), Path(prefix or "."))

    def commit(self, revision: str) -> str:
        """The commit's full name.

        Raises:
            RequestError: there is none of that name.
        """
        try:
            return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except RequestError as error:
            raise RequestError(
                f"--at: expected a commit, a branch or a tag, found {revision!r:.200}",
                hint="git log --oneline names commits; a shallow clone lacks older ones",
            ) from error

    def untracked(self) -> list[str]:
        """Files here that git does not know and does not ignore: a revision's folder lacks them."""
        found = _git("ls-files", "--others", "--exclude-standard", "-z", "--", str(self.root))
        return [each for each in found.split("\0") if each]


class Checkout:
    """A revision in a temporary folder; ``with Checkout(repository, commit) as folder`` removes it after.

    Attributes:
        folder: where in it the command runs: as deep as we stand.
    """

    def __init__(self, repository: Repository, commit: str) -> None:
        """
        Raises:
            RequestError: the revision has no such folder.
            MachineError: it cannot be checked out.
        """
        self._repository = repository
        self._scratch = Scratch("revision")
        self.root = self._scratch.path / "tree"
        try:
            _git(*_NO_HOOKS, "worktree", "add", "--quiet", "--detach", "--force", str(self.root), commit)
        except BaseException as error:
            self._remove()
            if isinstance(error, RequestError):
                raise MachineError(
                    f"--at: expected to check out {commit[:12]}, found: {error.problem}"
                ) from error
            raise
        self.folder = self.root / repository.prefix
        if not self.folder.is_dir():
            self._remove()
            raise RequestError(
                f"--at: expected the folder {repository.prefix} in {commit[:12]}, found none",
                hint="run it from the repository's top folder",
            )

    def __enter__(self) -> Path:
        return self.folder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        """The folder, and what git keeps about it; idempotent."""
        with contextlib.suppress(RequestError, MachineError):  # what git says of it is of no use to anybody
            _git("worktree", "remove", "--force", "--force", str(self.root), folder=self._repository.root)
        self._scratch.remove()


def _git(*arguments: str, folder: Path | None = None) -> str:
    """What git says.

    Args:
        folder: where it is asked.

    Raises:
        RequestError: it refuses. MachineError: there is no git.
    """
    try:
        ran = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in _OF_HOOKS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except OSError as error:
        raise MachineError("--at: expected git, found none", hint="install git") from error
    if ran.returncode:
        raise RequestError(ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "git refused")
    return ran.stdout.removesuffix("\n")
