"""Which change is looked at, as the CI service says it: GitHub's event, GitLab's variables, or neither."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nanocheck.core.errors import RequestError
from nanocheck.core.files import read_json, to_typed

#: It runs with the rights and secrets of the base, and the head of anybody would run under them.
_FORBIDDEN = "pull_request_target"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where a check runs.

    Attributes:
        service: github, gitlab, or empty.
        repository: ``owner/name``, or GitLab's number of the project.
        number: of the pull or merge request; ``None`` where it is none.
        base: the commit it is to be merged into, as the service says it; empty: unknown.
        head: the commit of the author, which a merge commit may stand for in the checkout.
        fork: its head lies in another repository, so that no right to write can be expected.
        server, api: addresses of the web pages and of the API.
        job: what names this job beside others of the same change.
    """

    service: str = ""
    repository: str = ""
    path: str = ""
    number: int | None = None
    base: str = ""
    head: str = ""
    fork: bool = False
    server: str = ""
    api: str = ""
    job: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Surroundings:
        """
        Raises:
            RequestError: an event under which strangers' code must not run.
            StoredDataError: the event's file is not what GitHub writes.
        """
        if environment.get("GITHUB_EVENT_NAME"):
            return _github(environment)
        if environment.get("GITLAB_CI"):
            return _gitlab(environment)
        return cls()

    def key(self, what: str) -> str:
        """Names the comment of this job and of what it runs, in hexadecimal."""
        words = "\0".join((*self.job, what))
        return hashlib.sha256(words.encode("utf-8", errors="replace")).hexdigest()[:16]


class _Repository(msgspec.Struct):
    full_name: str = ""


class _Side(msgspec.Struct):
    sha: str = ""
    repo: _Repository | None = None


class _PullRequest(msgspec.Struct):
    number: int
    base: _Side
    head: _Side


class _Event(msgspec.Struct):
    """Of GitHub's webhook payload what is used here."""

    pull_request: _PullRequest | None = None
    before: str = ""


def _github(environment: Mapping[str, str]) -> Surroundings:
    name = environment["GITHUB_EVENT_NAME"]
    if name == _FORBIDDEN:
        raise RequestError(
            f"expected the event pull_request, found {_FORBIDDEN}: it would run the code of a fork with the "
            "rights of this repository",
            hint="write `on: pull_request`; a fork's result stands in the job summary",
        )
    event = _Event()
    path = environment.get("GITHUB_EVENT_PATH", "")
    if path and Path(path).is_file():
        data, _ = read_json(Path(path), hint="GITHUB_EVENT_PATH must name the event's own file")
        event = to_typed(data, _Event, what="an event", where="GITHUB_EVENT_PATH", hint=None)
    found = event.pull_request
    repository = environment.get("GITHUB_REPOSITORY", "")
    before = event.before if set(event.before) != {"0"} else ""  # a branch that is new
    return Surroundings(
        service="github",
        repository=repository,
        path=repository,
        number=found.number if found else None,
        base=found.base.sha if found else before,
        head=found.head.sha if found else environment.get("GITHUB_SHA", ""),
        fork=found is not None and (found.head.repo is None or found.head.repo.full_name != repository),
        server=environment.get("GITHUB_SERVER_URL", "https://github.com"),
        api=environment.get("GITHUB_API_URL", "https://api.github.com"),
        job=(environment.get("GITHUB_WORKFLOW", ""), environment.get("GITHUB_JOB", "")),
    )


def _gitlab(environment: Mapping[str, str]) -> Surroundings:
    number = environment.get("CI_MERGE_REQUEST_IID", "")
    project = environment.get("CI_PROJECT_ID", "")
    return Surroundings(
        service="gitlab",
        repository=project,
        path=environment.get("CI_PROJECT_PATH", ""),
        number=int(number) if number.isdigit() else None,
        base=environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "") if number else "",
        head=environment.get("CI_COMMIT_SHA", ""),
        fork=environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", project) != project,
        server=environment.get("CI_SERVER_URL", "https://gitlab.com"),
        api=environment.get("CI_API_V4_URL", "https://gitlab.com/api/v4"),
        job=(environment.get("CI_PIPELINE_SOURCE", ""), environment.get("CI_JOB_NAME", "")),
    )
