"""One comment for each key on a pull request or merge request: found again by its marker, and replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from nanocheck.ci.http import Api, ApiError
from nanocheck.ci.surroundings import Surroundings

#: Who ``GITHUB_TOKEN`` writes as.
GITHUB_AUTHOR = "github-actions[bot]"
_PER_PAGE, _MOST_PAGES = 100, 100


@dataclass(frozen=True, kw_only=True)
class Comment:
    """One that is there."""

    id: int
    author: str
    body: str


class Thread(Protocol):
    """The comments of one request, at one service."""

    author: str

    def page(self, number: int) -> tuple[Sequence[Comment], bool]: ...

    def create(self, body: str) -> str: ...

    def replace(self, comment: Comment, body: str) -> str: ...


def keep_one(thread: Thread, marker: str, body: str) -> str:
    """Writes the comment that begins with the marker, over the one that is there.

    Only what this job's own account has written is replaced: anybody can quote a marker.

    Returns:
        What was done, with the comment's address where the service says it.

    Raises:
        ApiError: the service refuses, or cannot be reached.
    """
    assert body.startswith(marker)
    old = _find(thread, marker)
    if old is not None:
        try:
            return f"updated {thread.replace(old, body)}".strip()
        except ApiError as error:
            if error.status not in (404, 410):  # deleted meanwhile
                raise
    return f"created {thread.create(body)}".strip()


def _find(thread: Thread, marker: str) -> Comment | None:
    """The oldest."""
    for number in range(1, _MOST_PAGES + 1):
        comments, more = thread.page(number)
        for each in comments:
            if each.author == thread.author and each.body.lstrip().startswith(marker):
                return each
        if not more:
            return None
    return None


class GitHub:
    """A pull request: docs.github.com/rest/issues/comments."""

    def __init__(
        self, around: Surroundings, token: str, author: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "User-Agent": "nanocheck",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self.author = author or GITHUB_AUTHOR
        self._api = Api(around.api, headers, pause)
        self._comments = f"/repos/{quote(around.repository)}/issues"
        self._number = around.number

    def page(self, number: int) -> tuple[Sequence[Comment], bool]:
        answer = self._api.ask(
            "GET", f"{self._comments}/{self._number}/comments?per_page={_PER_PAGE}&page={number}"
        )
        return _read(answer.body, "user", "login"), answer.more

    def create(self, body: str) -> str:
        answer = self._api.ask("POST", f"{self._comments}/{self._number}/comments", {"body": body})
        return _address(answer.body)

    def replace(self, comment: Comment, body: str) -> str:
        answer = self._api.ask("PATCH", f"{self._comments}/comments/{comment.id}", {"body": body})
        return _address(answer.body)


class GitLab:
    """A merge request: docs.gitlab.com/api/notes."""

    def __init__(
        self, around: Surroundings, token: str, author: str = "", pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._api = Api(around.api, {"PRIVATE-TOKEN": token, "User-Agent": "nanocheck"}, pause)
        self._notes = f"/projects/{quote(around.repository, safe='')}/merge_requests/{around.number}/notes"
        self.author = author or self._me()

    def _me(self) -> str:
        """Who the token writes as."""
        found = self._api.ask("GET", "/user").body
        return str(found.get("username", "")) if isinstance(found, Mapping) else ""

    def page(self, number: int) -> tuple[Sequence[Comment], bool]:
        order = f"sort=asc&order_by=created_at&per_page={_PER_PAGE}&page={number}"
        answer = self._api.ask("GET", f"{self._notes}?{order}")
        return _read(answer.body, "author", "username"), answer.more

    def create(self, body: str) -> str:
        self._api.ask("POST", self._notes, {"body": body})
        return ""

    def replace(self, comment: Comment, body: str) -> str:
        self._api.ask("PUT", f"{self._notes}/{comment.id}", {"body": body})
        return ""


def _read(body: Any, who: str, name: str) -> list[Comment]:
    """
    Raises:
        ApiError: no list of comments.
    """
    if not isinstance(body, list):
        raise ApiError("GET: expected a list of comments, found something else")
    found = []
    for each in body:
        if isinstance(each, Mapping) and isinstance(each.get("id"), int):
            author = each.get(who)  # null: a deleted account
            login = author.get(name) if isinstance(author, Mapping) else None
            found.append(Comment(id=each["id"], author=str(login or ""), body=str(each.get("body") or "")))
    return found


def _address(body: Any) -> str:
    return str(body.get("html_url", "")) if isinstance(body, Mapping) else ""
