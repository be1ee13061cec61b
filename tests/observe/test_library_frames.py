"""Whose line an allocation is shown with: the script's, a model library's, last a training loop's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.observe.library_frames import is_library, is_loop, own_frame, short_name

PACKAGES = "/venv/lib/python3.12/site-packages"
LIBRARIES = (f"{PACKAGES}/torch", "/house/nanocheck/observe", "/usr/lib/python3.12")
TORCH = [f"{PACKAGES}/torch/optim/adamw.py", "/usr/lib/python3.12/contextlib.py", "<frozen runpy>"]
LOOPS = [
    f"{PACKAGES}/lightning/fabric/strategies/strategy.py",
    f"{PACKAGES}/lightning/pytorch/plugins/precision/precision.py",
    f"{PACKAGES}/accelerate/accelerator.py",
    f"{PACKAGES}/transformers/trainer.py",
    f"{PACKAGES}/transformers/trainer_utils.py",
    f"{PACKAGES}/transformers/modeling_utils.py",
    f"{PACKAGES}/lightning_utilities/core/apply_func.py",
    "/home/me/.local/lib/python3.12/site-packages/trl/trainer/sft_trainer.py",
]
MODELS = [f"{PACKAGES}/transformers/models/gpt2/modeling_gpt2.py", f"{PACKAGES}/peft/tuners/lora/layer.py"]
SCRIPTS = ["/home/me/train.py", "/home/me/lightning/model.py", "/home/me/accelerate/trainer.py"]

files = st.lists(st.sampled_from([*TORCH, *LOOPS, *MODELS, *SCRIPTS]), max_size=12)


@given(files)
def test_a_loop_is_named_only_where_nobody_else_is(stack: list[str]) -> None:
    found = own_frame([(file, line, "f") for line, file in enumerate(stack)], LIBRARIES)
    own = [line for line, file in enumerate(stack) if file in (*MODELS, *SCRIPTS)]
    loops = [line for line, file in enumerate(stack) if file in LOOPS]
    expected = [*own, *loops][:1]
    assert [found[1]] == expected if found else not expected


def test_the_samples_are_what_they_are_called() -> None:
    assert all(is_library(file, LIBRARIES) for file in TORCH)
    assert all(is_loop(file) and not is_library(file, LIBRARIES) for file in LOOPS)
    assert not any(is_loop(file) or is_library(file, LIBRARIES) for file in (*MODELS, *SCRIPTS))


def test_an_installed_file_is_named_from_its_package_on() -> None:
    assert short_name(MODELS[0]) == "transformers/models/gpt2/modeling_gpt2.py"
    assert (
        short_name("/usr/lib/python3/dist-packages/peft/tuners/lora/layer.py") == "peft/tuners/lora/layer.py"
    )
    assert [short_name(each) for each in SCRIPTS] == SCRIPTS
