"""What a matrix file means, and what is said about one that means nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.matrix import load_matrix
from nanocheck.core.step_fields import DTYPES


def written(folder: Path, text: str) -> Path:
    path = folder / "matrix.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_group_is_the_product_of_its_axes_in_order(tmp_path: Path) -> None:
    matrix = load_matrix(
        written(
            tmp_path,
            '[[group]]\nname = "small"\nwhy = "w"\nn_embd = 384\nbatch = [1, 2]\ndtype = ["bf16", "fp16"]\n',
        )
    )
    assert matrix.ids == tuple(
        f"gpt2-384-b{batch}-a1-{dtype}-eager" for batch in (1, 2) for dtype in ("bf16", "fp16")
    )
    assert {(entry.group, entry.why) for entry in matrix.entries} == {("small", "w")}


def test_a_single_configuration_keeps_its_reason(tmp_path: Path) -> None:
    matrix = load_matrix(written(tmp_path, '[[configuration]]\nwhy = "a note"\nn_embd = 576\nbatch = 16\n'))
    assert [(entry.id, entry.why) for entry in matrix.entries] == [("gpt2-576-b16-a1-bf16-eager", "a note")]


@given(
    batches=st.lists(st.integers(1, 64), min_size=1, max_size=5, unique=True),
    accumulations=st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True),
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=1, unique=True),
)
def test_sizes_multiply_and_ids_are_unique(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], accumulations: list[int], dtypes: list[str]
) -> None:
    text = f'[[group]]\nname = "g"\nbatch = {batches}\naccumulation = {accumulations}\ndtype = {dtypes}\n'
    matrix = load_matrix(written(tmp_path_factory.mktemp("m"), text))
    assert len(matrix.entries) == math.prod(map(len, (batches, accumulations, dtypes)))
    assert len(set(matrix.ids)) == len(matrix.ids)
    assert {config.dtype for config in matrix.configs} == set(dtypes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[group]\n", "not TOML"),
        ('[[group]]\nname = "g"\nbatch = 1\nbatch = 2\n', "not TOML"),
        ("", "at least one configuration"),
        ("[[group]]\nbatch = 1\n", "group 1: name: expected a text"),
        ('[[group]]\nname = "g"\nbatchs = 1\n', "group 1 ('g'): unknown key 'batchs'"),
        ('[[group]]\nname = "g"\nbatch = []\n', "group 1 ('g'): batch: expected at least one value"),
        ('[[group]]\nname = "g"\nbatch = [1, true]\n', "group 1 ('g'): batch: expected int, found True"),
        ('[[group]]\nname = "g"\nbatch = [1, 0]\n', "batch: expected at least 1, found 0"),
        ('[[group]]\nname = "g"\nbatch = 1.0\n', "batch: expected int, found 1.0"),
        ('[[group]]\nname = "g"\ndtype = "int4"\n', "dtype: expected one of"),
        (
            '[[group]]\nname = "g"\nbatch = [4, 4]\n',
            "found gpt2-768-b4-a1-bf16-eager twice: in 'g' and in 'g'",
        ),
        ('[group]\nname = "g"\n', "expected tables"),
        ("[[configuration]]\nbatch = 4\n", "configuration 1: why: expected a text"),
        ('[[configuration]]\nwhy = "w"\nbatch = [4]\n', "configuration 1: batch: expected int, found [4]"),
        ('[[configuration]]\nwhy = "w"\nsize = 4\n', "configuration 1: unknown key 'size'"),
        ('[[groups]]\nname = "g"\n', "found 'groups'"),
        (
            '[[group]]\nname = "g"\nbatch = 4\n[[configuration]]\nwhy = "w"\nbatch = 4\n',
            "twice: in 'g' and in 'single configurations'",
        ),
        (
            f'[[group]]\nname = "g"\nbatch = {list(range(1, 200))}\naccumulation = {list(range(1, 200))}\n',
            "found 39601",
        ),
    ],
)
def test_a_wrong_matrix_names_file_place_and_hint(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RequestError) as caught:
        load_matrix(path)
    assert str(path) in caught.value.problem
    assert said in caught.value.problem
    assert caught.value.hint


def test_a_missing_matrix_and_one_of_other_bytes(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        load_matrix(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'[[group]]\nname = "\xe9"\n')
    with pytest.raises(RequestError, match="not TOML"):
        load_matrix(tmp_path / "latin.toml")


def test_the_suites_own_matrix_holds_note_a_and_keeps_to_its_budget() -> None:
    matrix = load_matrix(ROOT / "suites" / "memory" / "matrix.toml")
    assert "gpt2-576-b16-a32-bf16-compile" in matrix.ids
    assert "gpt2-576-b12-a40-fp16-eager" in matrix.ids
    compiled = [config for config in matrix.configs if config.compile != "off"]
    assert 15 <= len(compiled) <= 24
    assert 80 <= len(matrix.configs) - len(compiled) <= 125


@pytest.mark.parametrize(
    ("model", "depth", "parameters"),
    [
        ("nanochat-2025", 12, 185_597_952),
        ("nanochat-2025", 20, 560_988_160),
        ("nanochat-2025", 32, 1_879_048_192),
        ("nanochat-2026", 8, 125_829_354),
        ("nanochat-2026", 12, 286_261_730),
        ("nanochat-2026", 20, 896_533_746),
        ("nanochat-2026", 32, 2_818_575_450),
    ],
)
def test_a_nanochat_is_its_depth(model: str, depth: int, parameters: int) -> None:
    """The counts that the releases' own scripts print."""
    config = StepConfig.from_dict({"model": model, "n_layer": depth})
    assert config.parameters == parameters
    assert config.id == f"{model}-d{depth}-b8-a1-bf16-eager"
    assert StepConfig.from_dict(config.to_dict()) == config


def test_octobers_d21_cannot_be_built() -> None:
    """21 x 64 = 1344 is no multiple of its 11 heads; ``base_train.py`` of October 2025 stops there, too."""
    with pytest.raises(RequestError, match="1344 % 11"):
        StepConfig.from_dict({"model": "nanochat-2025", "n_layer": 21})
    assert StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 21}).n_embd == 1408


def test_what_was_stored_before_a_field_existed_is_the_same_configuration() -> None:
    config = StepConfig(batch=4, checkpointing="block")
    assert "checkpointing" in config.to_dict()
    assert "loss" not in config.to_dict()
    assert StepConfig.from_dict(config.to_dict()) == config
    assert config.id == "gpt2-768-b4-a1-bf16-eager-checkpoint-block"
