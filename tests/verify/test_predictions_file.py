"""A prediction that was changed after it was hashed is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_verification import CARD, LEAST, MOST, observed

from nanocheck.core.errors import StoredDataError
from nanocheck.core.result import Environment
from nanocheck.verify import predictions
from nanocheck.verify.predictions import Prediction, Predictions

FOUND = Predictions(
    date="2026-11-26",
    gpu="h100",
    virtual_card=CARD,
    context_least_bytes=LEAST,
    context_most_bytes=MOST,
    environment=Environment(torch="2.11.0+cu130", cuda="13.0"),
    predictions=(
        Prediction(id="plain", case_sha256="a" * 64, virtual=observed()),
        Prediction(id="8-bit", case_sha256="b" * 64, not_run="no bitsandbytes"),
    ),
)


def test_they_come_back_with_the_hash_that_was_printed(tmp_path: Path) -> None:
    digest = predictions.save(tmp_path, FOUND)
    found = predictions.load(tmp_path)
    assert found == FOUND
    assert found is not None
    assert found.sha256 == digest


def test_there_are_none_in_an_empty_folder(tmp_path: Path) -> None:
    assert predictions.load(tmp_path) is None


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every number in plain data."""
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in numbers(each, (*path, key))]
    if isinstance(value, list):
        return [found for place, each in enumerate(value) for found in numbers(each, (*path, place))]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []


@settings(max_examples=20)
@given(data=st.data())
def test_no_number_can_be_changed_unseen(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("predicted")
    predictions.save(folder, FOUND)
    path = folder / predictions.FILE
    whole = json.loads(path.read_text())
    *way, last = data.draw(st.sampled_from(numbers(whole["predictions"])))
    place = whole["predictions"]
    for step in way:
        place = place[step]
    place[last] += data.draw(st.integers(-(1 << 20), 1 << 20).filter(bool))
    path.write_text(json.dumps(whole))
    with pytest.raises(StoredDataError, match=predictions.FILE):
        predictions.load(folder)


def test_how_the_file_is_laid_out_does_not_matter(tmp_path: Path) -> None:
    predictions.save(tmp_path, FOUND)
    path = tmp_path / predictions.FILE
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert predictions.load(tmp_path) == FOUND


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sha256": "x", "predictions": {}}', '{"sha256": 1}'])
def test_what_is_no_prediction_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / predictions.FILE).write_text(text)
    with pytest.raises(StoredDataError):
        predictions.load(tmp_path)
