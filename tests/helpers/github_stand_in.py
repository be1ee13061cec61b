"""The part of the APIs of GitHub and GitLab that comments need; it refuses what they would not take.

Paths, headers, fields and answers as docs.github.com/rest/issues/comments (version 2022-11-28) and
docs.gitlab.com/api/notes describe them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_of-the-test"
BOT = "github-actions[bot]"
LONGEST = 65_536


@dataclass
class Service:
    """What is there, what it was asked, and how it misbehaves.

    Attributes:
        comments: by number of the pull request, each as the API shows it.
        asked: method and path of each request.
        faults: status and headers of the next answers, the first one first; ``drop``: it hangs up.
        problems: what GitHub would not have taken.
    """

    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[int, dict[str, str]] | str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    writes: bool = True
    address: str = ""
    _last: int = 100

    def add(self, number: int, body: str, login: str = BOT) -> dict[str, Any]:
        """A comment, as the API shows it."""
        self._last += 1
        found = {
            "id": self._last,
            "node_id": f"IC_{self._last}",
            "html_url": f"https://github.com/o/r/pull/{number}#issuecomment-{self._last}",
            "body": body,
            "user": {"login": login, "id": 1, "type": "Bot" if login.endswith("[bot]") else "User"},
            "author": {"username": login},
        }
        self.comments.setdefault(number, []).append(found)
        return found

    def bodies(self, number: int = 7) -> list[str]:
        return [str(each["body"]) for each in self.comments.get(number, [])]

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    service: Service

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        method, url = self.command, urlsplit(self.path)
        self.service.asked.append((method, self.path))
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        if self.service.faults:
            fault = self.service.faults.pop(0)
            if isinstance(fault, str):
                self.close_connection = True
                return None
            return self._send(fault[0], {"message": "a fault"}, fault[1])
        gitlab = url.path.startswith("/api/v4")
        problem = self._gitlab_headers() if gitlab else self._github_headers()
        if problem:
            self.service.problems.append(problem)
            return self._send(401, {"message": "Bad credentials"})
        if method != "GET" and not self.service.writes:
            return self._send(403, {"message": "Resource not accessible by integration"})
        body = None
        if method != "GET":
            body = json.loads(data)
            bad = not isinstance(body, dict) or set(body) != {"body"} or not isinstance(body["body"], str)
            if bad or self.headers.get("Content-Type") != "application/json":
                self.service.problems.append(f"{method} {self.path}: expected one field, body")
                return self._send(422, {"message": "Validation Failed"})
            if not body["body"].strip() or len(body["body"].encode("utf-16-le")) // 2 > LONGEST:
                self.service.problems.append("body is empty, or too long (maximum is 65536 characters)")
                return self._send(422, {"message": "Validation Failed"})
        return self._route(method, url.path, parse_qs(url.query), body)

    do_GET = do_POST = do_PATCH = do_PUT = _answer  # noqa: N815

    def _github_headers(self) -> str:
        expected = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {TOKEN}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        wrong = [name for name, value in expected.items() if self.headers.get(name) != value]
        if not self.headers.get("User-Agent"):
            wrong.append("User-Agent")
        return f"headers: {', '.join(wrong)}" if wrong else ""

    def _gitlab_headers(self) -> str:
        return "" if self.headers.get("PRIVATE-TOKEN") == TOKEN else "header: PRIVATE-TOKEN"

    def _route(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> None:
        github = re.fullmatch(r"/repos/o/r/issues/(\d+)/comments", path)
        one = re.fullmatch(r"/repos/o/r/issues/comments/(\d+)", path)
        notes = re.fullmatch(r"/api/v4/projects/42/merge_requests/(\d+)/notes", path)
        note = re.fullmatch(r"/api/v4/projects/42/merge_requests/(\d+)/notes/(\d+)", path)
        many = github or notes
        if method == "GET" and path == "/api/v4/user":
            return self._send(200, {"username": BOT})
        if method == "GET" and many:
            return self._list(int(many[1]), query)
        if method == "POST" and many:
            return self._send(201, self.service.add(int(many[1]), body["body"]))
        if (method == "PATCH" and one) or (method == "PUT" and note):
            wanted = int(one[1] if one else note[2])  # type: ignore[index]
            for each in (comment for all_ in self.service.comments.values() for comment in all_):
                if each["id"] == wanted:
                    each["body"] = body["body"]
                    return self._send(200, each)
        return self._send(404, {"message": "Not Found"})

    def _list(self, number: int, query: dict[str, list[str]]) -> None:
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        if not 1 <= size <= 100:
            self.service.problems.append(f"per_page={size}")
        found = self.service.comments.get(number, [])
        more = len(found) > size * page
        address = f"{self.service.address}{urlsplit(self.path).path}?per_page={size}&page={page + 1}"
        link = {"Link": f'<{address}>; rel="next"'} if more else {}
        return self._send(200, found[size * (page - 1) : size * page], link)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def service() -> Iterator[Service]:
    """One that runs until the end."""
    found = Service()
    handler = type("Handler", (_Handler,), {"service": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
