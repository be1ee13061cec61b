"""One comment on a request, whatever the service answers; the stand-in refuses what GitHub would not take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from github_stand_in import BOT, TOKEN, Service, service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanocheck.ci import __main__ as steps
from nanocheck.ci import http
from nanocheck.ci.comments import GitHub, GitLab, keep_one
from nanocheck.ci.http import Api, ApiError
from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.gate import Gate

MARKER = "<!-- nanocheck:abc -->"
BODY = f"{MARKER}\nnew"


@pytest.fixture
def github() -> Iterator[Service]:
    with service() as found:
        yield found
        assert found.problems == []


def around(found: Service, **changes: object) -> Surroundings:
    values = {"service": "github", "repository": "o/r", "number": 7, "api": found.address, **changes}
    return Surroundings(**values)  # type: ignore[arg-type]


def keep(found: Service, body: str = BODY, pauses: list[float] | None = None) -> str:
    waited = pauses if pauses is not None else []
    return keep_one(GitHub(around(found), TOKEN, "", waited.append), MARKER, body)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.integers(0, 230), after=st.integers(0, 120), there=st.booleans())
def test_it_is_found_again_among_any_number(before: int, after: int, there: bool) -> None:
    with service() as found:
        for number in range(before):
            found.add(7, f"{number}: as {MARKER} says", "somebody")
        if there:
            found.add(7, f"{MARKER}\nold")
        for _ in range(after):
            found.add(7, MARKER, "somebody")  # who quotes it as a whole
        others = [each for each in found.bodies() if "old" not in each]
        for _ in range(2):
            keep(found)
        assert [each for each in found.bodies() if each == BODY] == [BODY]
        assert [each for each in found.bodies() if each != BODY] == others
        assert found.problems == []


def test_two_checks_have_a_comment_each(github: Service) -> None:
    for key in ("abcd", "abc", "abcd"):
        marker = f"<!-- nanocheck:{key} -->"
        keep_one(GitHub(around(github), TOKEN, ""), marker, f"{marker} of {key}")
    assert github.bodies() == ["<!-- nanocheck:abcd --> of abcd", "<!-- nanocheck:abc --> of abc"]


def test_what_was_deleted_meanwhile_is_written_anew(github: Service) -> None:
    github.add(7, MARKER)
    thread = GitHub(around(github), TOKEN, "")
    found = thread.page(1)
    thread.page = lambda _: found  # type: ignore[method-assign]
    github.comments[7].clear()
    assert keep_one(thread, MARKER, BODY).startswith("created")
    assert github.bodies() == [BODY]


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_busy_is_asked_again_after_the_time_it_says(github: Service, status: int) -> None:
    pauses: list[float] = []
    github.faults = [(status, {"Retry-After": "7"}), (status, {})]
    assert keep(github, pauses=pauses).startswith("created https://github.com/o/r/pull/7#issuecomment-")
    assert pauses == [7.0, 2.0]


def test_nobody_waits_for_minutes(github: Service) -> None:
    pauses: list[float] = []
    github.faults = [(429, {"Retry-After": "3600"})]
    with pytest.raises(ApiError, match="429"):
        keep(github, pauses=pauses)
    assert pauses == []


@pytest.mark.parametrize("fault", [(500, {}), (502, {}), (504, {}), "drop"])
def test_a_comment_that_may_have_been_written_is_not_written_again(github: Service, fault: object) -> None:
    thread = GitHub(around(github), TOKEN, "", lambda _: None)
    thread.page = lambda _: ((), False)  # type: ignore[method-assign]
    github.faults = [fault] * 3  # type: ignore[list-item]
    with pytest.raises(ApiError):
        keep_one(thread, MARKER, BODY)
    assert github.methods() == ["POST"]


@pytest.mark.parametrize("fault", [(500, {}), (502, {}), "drop"])
def test_reading_is_tried_again(github: Service, fault: object) -> None:
    github.faults = [fault, fault]  # type: ignore[list-item]
    assert keep(github).startswith("created")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_token_follows_no_redirection(github: Service, status: int) -> None:
    with service() as elsewhere:
        github.faults = [(status, {"Location": f"{elsewhere.address}/repos/o/r/issues/7/comments"})]
        with pytest.raises(ApiError, match=str(status)):
            keep(github)
        assert elsewhere.asked == []


def test_a_token_goes_over_https_or_stays_on_this_machine() -> None:
    for address in ("http://api.github.com", "http://127.0.0.1.example.org", "file:///etc/passwd", "nothing"):
        with pytest.raises(ApiError, match="https"):
            Api(address, {})
    Api("https://api.github.com", {})


def test_gitlab_has_notes(github: Service) -> None:
    github.add(7, f"{MARKER} by somebody", "somebody")
    api = f"{github.address}/api/v4"
    for body in (BODY, f"{MARKER} once more"):
        thread = GitLab(around(github, service="gitlab", repository="42", api=api), TOKEN)
        keep_one(thread, MARKER, body)
    assert github.bodies() == [f"{MARKER} by somebody", f"{MARKER} once more"]
    assert [each for each in github.methods() if each != "GET"] == ["POST", "PUT"]


# -- the step -----------------------------------------------------------------------------------------------


def stored(folder: Path, event: dict[str, object], api: str, **variables: str) -> dict[str, str]:
    """The environment of the step, after a check whose result is in the folder."""
    gate = Gate(key="abc", nanocheck="1", date="today", failed=("it does",))
    (folder / "gate.json").write_bytes(msgspec.json.encode(gate))
    (folder / "event.json").write_text(json.dumps(event))
    return {
        "NANOCHECK_RESULTS": str(folder),
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_API_URL": api,
        **variables,
    }


def event(of: str | None = "o/r") -> dict[str, object]:
    head = {"sha": "2" * 40, "repo": None if of is None else {"full_name": of}}
    base = {"sha": "1" * 40, "repo": {"full_name": "o/r"}}
    return {"pull_request": {"number": 7, "base": base, "head": head}}


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422, 429, 500, 502, 503, 504, 302, "drop"])
def test_the_step_never_fails(
    github: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: object
) -> None:
    monkeypatch.setattr(http, "_TRIES", 1)
    github.faults = ["drop" if status == "drop" else (status, {})] * 5  # type: ignore[list-item]
    environment = stored(tmp_path, event(), github.address, NANOCHECK_TOKEN=TOKEN)
    assert steps.comment(environment) == 0
    said = (tmp_path / "summary.md").read_text()
    assert "no comment was written" in said
    assert str(status) in said or "no answer" in said
    assert TOKEN not in said
    assert steps.verdict(environment) == 1


@pytest.mark.parametrize("of", ["stranger/r", None])
def test_a_fork_asks_nothing(github: Service, tmp_path: Path, of: str | None) -> None:
    environment = stored(tmp_path, event(of), github.address, NANOCHECK_TOKEN=TOKEN)
    assert steps.comment(environment) == 0
    assert github.asked == []
    assert "fork" in (tmp_path / "summary.md").read_text()


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_TRIES", 1)
    environment = stored(tmp_path, event(), "http://127.0.0.1:9", NANOCHECK_TOKEN=TOKEN)
    assert steps.comment(environment) == 0
    assert "ConnectionRefusedError" in (tmp_path / "summary.md").read_text()


def test_without_a_token_or_a_pull_request_nothing_is_asked(github: Service, tmp_path: Path) -> None:
    assert steps.comment(stored(tmp_path, event(), github.address)) == 0
    assert steps.comment(stored(tmp_path, {}, github.address, NANOCHECK_TOKEN=TOKEN)) == 0
    assert github.asked == []


def test_the_step_writes_as_who_it_is_told(github: Service, tmp_path: Path) -> None:
    github.add(7, MARKER, "our-robot")
    environment = stored(tmp_path, event(), github.address, NANOCHECK_TOKEN=TOKEN)
    steps.comment({**environment, "NANOCHECK_COMMENT_AUTHOR": "our-robot"})
    assert [each["user"]["login"] for each in github.comments[7]] == ["our-robot"]
    steps.comment(environment)
    assert [each["user"]["login"] for each in github.comments[7]] == ["our-robot", BOT]
