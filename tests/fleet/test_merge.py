"""Journals joined: any shares of the work, in any order and however often, are the whole of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import result

from nanocheck.cli import main
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.fingerprint import fingerprint
from nanocheck.core.result import RunResult
from nanocheck.fleet import merge as merging
from nanocheck.fleet.merge import Merged, merge, timeless
from nanocheck.measuring.stored_results import result_key, stored_result
from nanocheck.process.journal import Journal

WHOLE = [StepConfig(batch=batch) for batch in range(1, 7)]


def key(config: StepConfig) -> str:
    return result_key(config, result(config).device, None)


@pytest.fixture(autouse=True, scope="module")
def quick_fingerprint() -> Iterator[None]:
    """The sources' hash takes a while, and is the same all the time."""
    ours = fingerprint()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "fingerprint", lambda: dict(ours))
        yield


def write(path: Path, configs: list[StepConfig], seconds: float = 0.0, **other: str) -> Path:
    with Journal(path, {**merging.fingerprint(), **other}) as journal:
        for config in configs:
            found = result(config, seconds={"step": seconds})
            journal.append(key(config), msgspec.to_builtins(found))
    return path


def held(path: Path) -> dict[str, RunResult]:
    with Journal(path, merging.fingerprint()) as journal:
        return {each: timeless(stored_result(journal, each)) for each in journal}


@settings(max_examples=25)
@given(st.lists(st.lists(st.sampled_from(WHOLE), unique=True), min_size=1, max_size=4), st.data())
def test_shares_make_the_whole_and_a_second_merge_changes_no_byte(
    shares: list[list[StepConfig]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [write(folder / f"{n}.jsonl", share, n / 8) for n, share in enumerate(shares)]
        alone = write(folder / "alone.jsonl", [each for each in WHOLE if any(each in one for one in shares)])
        into = folder / "into.jsonl"
        done = merge(data.draw(st.permutations(paths)), into)
        assert held(into) == held(alone)
        assert done.added == len(held(alone))
        assert done.added + done.known == sum(map(len, shares))
        content = into.read_bytes()
        assert merge([*paths, into], into).added == 0
        assert into.read_bytes() == content


def test_what_contradicts_is_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one", WHOLE[:2])
    with Journal(tmp_path / "two", merging.fingerprint()) as journal:
        other = msgspec.structs.replace(result(WHOLE[0]), notes=("altered",))
        journal.append(key(WHOLE[0]), msgspec.to_builtins(other))
    assert merge([one], tmp_path / "into") == Merged(added=2, known=0)
    with pytest.raises(StoredDataError, match="something else of the same"):
        merge([tmp_path / "two"], tmp_path / "into")
    assert len(held(tmp_path / "into")) == 2


@pytest.mark.parametrize(
    ("other", "words"),
    [({"torch": "1.0"}, "torch 1.0"), ({"nanocheck": "0"}, "other sources"), ({"CUBLAS_X": "1"}, "CUBLAS_X")],
)
def test_results_of_another_environment_are_no_part_of_it(
    tmp_path: Path, other: dict[str, str], words: str
) -> None:
    path = write(tmp_path / "other", WHOLE[:1], **other)
    with pytest.raises(RequestError, match=words):
        merge([path], tmp_path / "into")
    assert not (tmp_path / "into").exists()
    with pytest.raises(RequestError, match="another's"):
        merge([write(tmp_path / "one", WHOLE[:1])], path)
    assert path.exists()  # and was not set aside


def test_another_machine_s_cache_and_kernel_are_no_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "other", WHOLE[:1], os="Linux-9", NANOCHECK_CACHE="/elsewhere")
    assert merge([path], tmp_path / "into").added == 1


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "one", WHOLE[:2])
    (tmp_path / "no").write_text("{}\n")
    into = str(tmp_path / "into")
    assert main(["merge", "--into", into, str(one), str(one)]) == 0
    assert "2 results added, 2 were there already" in capsys.readouterr().out
    assert main(["merge", "--into", into, str(tmp_path / "missing")]) == 2
    assert main(["merge", "--into", into, str(tmp_path / "no")]) == 4
