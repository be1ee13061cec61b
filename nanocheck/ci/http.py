"""JSON over HTTP to one service, with the standard library; what goes wrong is one kind of error.

A token is sent to the address that was given and nowhere else: no redirection is followed.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_SECONDS = 20
_TRIES = 3
#: Longer than this nobody waits for a comment, whatever ``Retry-After`` says.
_LONGEST_PAUSE_S = 30
_MOST_BYTES = 32 << 20
#: The service did nothing, and may soon: too many requests, or it is not there. Of the others nobody knows.
_REFUSED, _UNKNOWN = (429, 503), (0, 500, 502, 504)


class ApiError(Exception):
    """What the service said instead of doing it.

    Attributes:
        status: HTTP's; 0 where it said nothing. pause_s: how long it asks to wait.
    """

    def __init__(self, problem: str, status: int = 0, pause_s: float = 0.0) -> None:
        self.status, self.pause_s = status, pause_s
        super().__init__(problem)

    def may_pass(self, method: str) -> bool:
        """Whether another try may help, and does nothing twice: a second POST would be a second comment."""
        known = self.status in _REFUSED or (self.status in _UNKNOWN and method != "POST")
        return known and self.pause_s <= _LONGEST_PAUSE_S


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A body, and whether the service says that a further page follows."""

    body: Any
    more: bool


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Api:
    """
    Args:
        base: the API's address, https; http to this machine only.
        headers: sent with each request, the token among them.
        pause: what waits, in seconds.
    """

    def __init__(
        self, base: str, headers: Mapping[str, str], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._base, self._headers, self._pause = base.rstrip("/"), dict(headers), pause
        address = urllib.parse.urlsplit(base)
        local = address.hostname in ("127.0.0.1", "localhost", "::1")
        if address.scheme != "https" and not (address.scheme == "http" and local):
            raise ApiError("expected the API's address to begin with https://")
        self._opener = urllib.request.build_opener(_NoRedirection)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """
        Raises:
            ApiError: it cannot be reached, refuses, or answers something else than JSON.
        """
        for left in range(_TRIES - 1, -1, -1):
            try:
                return self._once(method, path, body)
            except ApiError as error:
                if not left or not error.may_pass(method):
                    raise
                self._pause(error.pause_s or float(_TRIES - left))
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._base}{path}", data=data, method=method)
        for name, value in self._headers.items():
            request.add_unredirected_header(name, value)
        if data is not None:
            request.add_unredirected_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                text = answer.read(_MOST_BYTES)
                more = 'rel="next"' in (answer.headers.get("Link") or "")
        except urllib.error.HTTPError as error:
            raise _refusal(method, error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            name = "time-out" if isinstance(reason, TimeoutError) else type(reason).__name__
            raise ApiError(f"{method}: no answer ({name})") from error
        try:
            return Answer(body=json.loads(text), more=more)
        except ValueError as error:
            raise ApiError(f"{method}: expected JSON, found something else") from error


def _refusal(method: str, error: urllib.error.HTTPError) -> ApiError:
    with error:
        try:
            said = json.loads(error.read(1 << 16))["message"]
        except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
            said = error.reason
    pause = error.headers.get("Retry-After", "") if error.headers is not None else ""
    waiting = float(pause) if pause.isdigit() else 0.0
    return ApiError(f"{method}: {error.code} {str(said)[:200]}", error.code, waiting)
