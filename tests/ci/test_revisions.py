"""Which commit a change is compared with, and that fetching and laying it out runs nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from toy_repository import TRAIN, Pushed, Repository

from nanocheck.ci import revisions
from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.errors import RequestError


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    return Repository(tmp_path_factory.mktemp("revisions")).push(TRAIN + "# more\n", "more")


def around(pushed: Pushed, **changes: object) -> Surroundings:
    values = {"service": "github", "number": 7, "base": pushed.base, "head": pushed.head, **changes}
    return Surroundings(**values)  # type: ignore[arg-type]


def test_of_a_merge_commit_it_is_the_first_parent(pushed: Pushed) -> None:
    commit, note = revisions.base_of(pushed.checkout, "", around(pushed, base="3" * 40))
    assert (commit, note) == (pushed.base, "the first parent of the merge commit")


def test_else_it_is_what_the_event_says(pushed: Pushed) -> None:
    commit, note = revisions.base_of(pushed.checkout, "", around(pushed, head="4" * 40))
    assert (commit, note) == (pushed.base, "what the event says")
    commit, note = revisions.base_of(pushed.checkout, "", around(pushed, number=None))
    assert (commit, note) == (pushed.base, "before the push")


def test_what_others_merged_since_is_not_the_branchs_doing(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    pushed = repository.push(TRAIN + "# more\n", "more")
    repository._git("checkout", "--quiet", "main")
    (repository.work / "other.py").write_text("")
    newer = repository._commit("of others")
    repository._git("checkout", "--quiet", "change")
    found = revisions.base_of(repository.work, "", around(pushed, base=newer))
    assert found == (pushed.base, "where the branch began")


def test_without_any_it_says_why(pushed: Pushed) -> None:
    gone = around(pushed, head="4" * 40, base="5" * 40)
    assert revisions.base_of(pushed.checkout, "", gone) == ("", "the base's commit could not be fetched")
    assert revisions.base_of(pushed.checkout, "", Surroundings())[0] == ""


def test_a_commit_or_a_branch_can_be_asked_for(pushed: Pushed) -> None:
    for name in (pushed.base, pushed.base[:10], "main"):
        assert revisions.base_of(pushed.checkout, name, Surroundings()) == (pushed.base, "asked for")


@pytest.mark.parametrize(
    "name",
    [
        "--upload-pack=touch /tmp/x",
        "-x",
        "nobody",
        "a\nb",
        "ext::sh -c touch",
        "../..",
        "HEAD:train.py",
        "$(id)",
    ],
)
def test_a_name_is_a_name_only(pushed: Pushed, name: str) -> None:
    with pytest.raises(RequestError, match="base: expected a commit"):
        revisions.base_of(pushed.checkout, name, Surroundings())


def test_the_base_is_laid_out_without_hooks_and_taken_away(pushed: Pushed, tmp_path: Path) -> None:
    hook = pushed.checkout / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    commit, _ = revisions.base_of(pushed.checkout, "", around(pushed))
    with revisions.checked_out(pushed.checkout, commit) as place:
        assert (place / "train.py").read_text() == TRAIN
        assert place.name == pushed.checkout.name
    assert not place.exists()
    assert not (tmp_path / "ran").exists()
    command = ["git", "-C", str(pushed.checkout), "worktree", "list"]
    assert len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()) == 1


def test_where_there_is_no_repository(tmp_path: Path) -> None:
    assert revisions.head_of(tmp_path) == ""
    with pytest.raises(revisions.GitError), revisions.checked_out(tmp_path, "1" * 40):
        pass
