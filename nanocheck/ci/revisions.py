"""The two states of a project that are run: the checkout as it is, and its base in a folder beside it.

Git is asked by its command line, without hooks: a checkout runs no code.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.errors import RequestError

_SECONDS = 300
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: A branch, a tag or a commit; ``a:b`` would make a branch here.
_FETCHED = re.compile(r"\w[\w./-]*")


class GitError(Exception):
    """Git's own last line."""


def git(root: Path, *arguments: str) -> str:
    """What it prints.

    Raises:
        GitError: it failed, took too long, or is not installed.
    """
    command = ["git", "-C", str(root), "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git {arguments[0]}: {type(error).__name__}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason said"]
        raise GitError(f"git {arguments[0]}: {said[-1]}")
    return done.stdout.strip()


def head_of(root: Path) -> str:
    """The commit that is checked out; empty where there is no repository."""
    with contextlib.suppress(GitError):
        return git(root, "rev-parse", "--verify", "HEAD^{commit}")
    return ""


def base_of(root: Path, asked: str, around: Surroundings) -> tuple[str, str]:
    """The commit to compare with, fetched where it is not here, and where it was found; or nothing, and why.

    A pull request's checkout is by default a merge commit that GitHub makes, whose first parent is the base
    that it would be merged into now; what the event says is that of its last push.

    Raises:
        RequestError: a commit was asked for, and is not there.
    """
    if asked:
        commit = _resolve(root, asked)
        if not commit:
            raise RequestError(
                f"base: expected a commit of this repository, found {asked!r:.80}",
                hint="actions/checkout with fetch-depth: 0 brings all of them",
            )
        return commit, "asked for"
    if around.number is not None and around.base:
        parents = _parents(root)
        if len(parents) > 1 and around.head in parents[1:]:
            commit = _resolve(root, parents[0])
            if commit:
                return commit, "the first parent of the merge commit"
        commit = _resolve(root, around.base)
        if not commit:
            return "", "the base's commit could not be fetched"
        # Where the author's own commit is checked out, what others have merged since is not its doing.
        with contextlib.suppress(GitError):
            return git(root, "merge-base", commit, "HEAD"), "where the branch began"
        return commit, "what the event says"
    if around.base:
        commit = _resolve(root, around.base)
        return (commit, "before the push") if commit else ("", "the commit before it could not be fetched")
    return "", "neither a pull request nor a push says one"


def _parents(root: Path) -> list[str]:
    """Of the commit that is checked out, in a shallow clone, too, where ``HEAD^1`` is unknown."""
    try:
        text = git(root, "cat-file", "commit", "HEAD")
    except GitError:
        return []
    head = text.partition("\n\n")[0]
    return [line.removeprefix("parent ") for line in head.splitlines() if line.startswith("parent ")]


def _resolve(root: Path, name: str) -> str:
    """The full commit of a name, which is fetched where it is missing; empty where that fails."""
    if name.startswith("-") or not name.isprintable():
        return ""
    for candidate in (name, f"origin/{name}"):
        with contextlib.suppress(GitError):
            return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", candidate + "^{commit}")
    if not _FETCHED.fullmatch(name):
        return ""
    with contextlib.suppress(GitError):
        git(root, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", name)
        found = git(root, "rev-parse", "--verify", "FETCH_HEAD^{commit}")
        return found if _COMMIT.fullmatch(found) else ""
    return ""


@contextlib.contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """A folder with that commit, removed afterwards.

    Raises:
        GitError: it cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix="nanocheck-base-") as folder:
        place = Path(folder) / root.name  # a script that shows the folder's name shows the same one
        git(root, "worktree", "add", "--quiet", "--force", "--detach", str(place), commit)
        try:
            yield place
        finally:
            with contextlib.suppress(GitError):
                git(root, "worktree", "remove", "--force", "--force", str(place))
