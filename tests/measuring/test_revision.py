"""A revision beside the user's checkout: the checkout is only read, and nothing stays, however it ends."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.measuring.revision import Checkout, Repository
from nanocheck.measuring.revision_runs import states

_IDENTITY = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")


def git(*arguments: str) -> str:
    ran = subprocess.run(["git", *_IDENTITY, *arguments], capture_output=True, text=True, check=True)
    return ran.stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits, a change that is not committed, and a file that git does not know."""
    root, temporary = tmp_path / "project", tmp_path / "tmp"
    (root / "net").mkdir(parents=True)
    temporary.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for name in [each for each in os.environ if each.startswith("GIT_")]:
        monkeypatch.delenv(name)
    git("init", "-q", "-b", "main")
    for text in ("first", "second"):
        Path("train.py").write_text(text)
        Path("net/model.py").write_text(text)
        git("add", "-A")
        git("commit", "-qm", text)
    Path("train.py").write_text("third")
    Path("data.bin").write_text("x")
    return root


def state_of(root: Path) -> tuple[str, str, str, list[str]]:
    """What a user sees of the checkout, and what git keeps of other ones."""
    kept = sorted(each.name for each in (root / ".git").iterdir() if each.name != "worktrees")
    trees = root / ".git" / "worktrees"
    return (
        git("status", "--porcelain"),
        git("log", "--oneline", "--all"),
        git("worktree", "list"),
        [
            *kept,
            *(each.name for each in (trees.iterdir() if trees.exists() else ())),
        ],
    )


def test_the_checkout_is_as_before_and_nothing_stays(project: Path) -> None:
    before = state_of(project)
    repository = Repository.here()
    with Checkout(repository, repository.commit("HEAD~1")) as folder:
        assert (folder / "train.py").read_text() == "first"
        assert not (folder / "data.bin").exists()
        (folder / "train.py").write_text("written by the run")
        (folder / "out").mkdir()
    assert not folder.exists()
    assert state_of(project) == before
    assert Path("train.py").read_text() == "third"
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_stays_after_an_error(project: Path, error: type[BaseException]) -> None:
    before = state_of(project)
    repository = Repository.here()
    with pytest.raises(error), Checkout(repository, repository.commit("main")):
        raise error
    assert state_of(project) == before
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_folder_below_the_top_stays_below_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "net")
    repository = Repository.here()
    assert repository.prefix == Path("net")
    with Checkout(repository, repository.commit("HEAD~1")) as folder:
        assert (folder / "model.py").read_text() == "first"
    (project / "new").mkdir()
    monkeypatch.chdir(project / "new")
    here = Repository.here()
    with pytest.raises(RequestError, match="expected the folder new in"):
        Checkout(here, here.commit("HEAD"))
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_hook_of_the_repository_does_not_run(project: Path) -> None:
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {project}/ran\nexit 1\n")
    hook.chmod(0o755)
    repository = Repository.here()
    with Checkout(repository, repository.commit("HEAD")):
        assert not (project / "ran").exists()


def test_the_index_of_a_hook_that_calls_us_is_left_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git tells its hooks where repository and index are; a checkout must not write there."""
    git("add", "train.py")
    before, index = state_of(project), (project / ".git" / "index").read_bytes()
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(project / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(project / ".git" / "index"))
        repository = Repository.here()
        with Checkout(repository, repository.commit("HEAD~1")) as folder:
            assert (folder / "train.py").read_text() == "first"
    assert (project / ".git" / "index").read_bytes() == index
    assert state_of(project) == before


@pytest.mark.parametrize(
    "revision", ["nowhere", "--all", "-h", "HEAD:train.py", "", "HEAD~9", "--output=x", "a b\n"]
)
def test_what_is_no_commit_is_refused(project: Path, revision: str) -> None:
    with pytest.raises(RequestError, match="--at: expected a commit"):
        states(Repository.here(), [revision])
    assert not Path("x").exists()


def test_before_and_after_are_two_revisions_or_one_and_what_stands_here(project: Path) -> None:
    repository = Repository.here()
    first, second = states(repository, ["HEAD~1", "main"])
    assert first.commit == git("rev-parse", "HEAD~1").strip()
    assert second.commit == git("rev-parse", "main").strip()
    assert states(repository, ["main"])[1].commit is None
    assert repository.untracked() == ["data.bin"]


def test_elsewhere_than_in_a_repository_and_without_git(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RequestError, match="expected a git repository here"):
        Repository.here()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MachineError, match="expected git"):
        Repository.here()
