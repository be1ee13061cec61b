"""The rest of a run's life: evaluation, saving a checkpoint, resuming from one."""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.step.methods.weights import add_adapters, weights_to_save
from nanocheck.step.recipes import recipe_of
from nanocheck.step.training import Training

#: nanoGPT evaluates 200 batches a split; memory repeats itself from the second on.
EVAL_BATCHES = 2

#: Fields that decide what a checkpoint holds.
_MUST_AGREE = (
    *("model", "n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias"),
    *("optimizer", "weights"),
)


@torch.no_grad()
def evaluate(training: Training, index: int, eval_batches: int = EVAL_BATCHES) -> dict[str, float]:
    """Mean loss in nats over ``eval_batches`` batches a split, as the model's original evaluates.

    Reads losses back, as the originals do: on a virtual GPU the result means nothing.
    """
    training.enter("evaluation", index)
    training.network.eval()
    if training.watch is not None:
        training.watch.evaluating(training)
    with training.batches.aside():
        means = training.evaluate(eval_batches)
    training.network.train()
    training.observe("evaluation", index)
    return means


def save_checkpoint(training: Training, path: Path, iter_num: int) -> None:
    """Write model, optimizer, ``iter_num`` and configuration; readers see the old file or the new one."""
    training.enter("checkpoint", iter_num)
    checkpoint = {
        "model": weights_to_save(training.model, training.config),
        "optimizer": training.optimizer.state_dict(),
        "iter_num": iter_num,
        "config": training.config.to_dict(),
        # nanoGPT saves neither: its resumed run repeats batches, and its fp16 begins at scale 65536 again.
        "batches": training.batches.state(),
        "scaler": training.scaler.state_dict(),
    }
    write_checkpoint(checkpoint, path)
    training.observe("checkpoint", iter_num)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """``torch.save`` beside ``path``, flushed to the disk, then moved over it in one piece."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(checkpoint, stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_checkpoint(config: StepConfig, path: Path, device: str) -> dict[str, Any]:
    """The checkpoint with its tensors on ``device``, as nanoGPT loads it.

    Raises:
        RequestError: there is no such file.
        StoredDataError: it is damaged, or was saved by a model of other dimensions.
    """
    if not path.is_file():
        raise RequestError(
            f"expected a checkpoint at {path}, found none", hint="give the path of a saved one"
        )
    # A zip archive's directory is at its end: a file cut short is no archive.
    if not zipfile.is_zipfile(path):
        raise StoredDataError(
            f"checkpoint {path.name}: expected an archive of torch.save, found a damaged file",
            hint="resume from an older checkpoint",
        )
    checkpoint: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    saved_by = StepConfig.from_dict(checkpoint["config"])
    for name in _MUST_AGREE:
        expected, found = getattr(config, name), getattr(saved_by, name)
        if expected != found:
            raise StoredDataError(
                f"checkpoint {path.name}: expected {name} {expected}, found {found}",
                hint="resume with the configuration that the checkpoint was saved with",
            )
    return checkpoint


def prepare_checkpoint(config: StepConfig, path: Path) -> None:
    """Write a checkpoint of the right shapes without a run, on the host only: the device is never touched.

    Its weights and moments are zeros that take no room on a disk that knows holes, so it serves to
    measure memory and nothing else. The step counters are 1,000, so that nothing divides by zero where a
    virtual GPU does not advance them.
    """
    recipe = recipe_of(config)
    model = recipe.blank(config)
    if config.weights == "nf4-lora":
        add_adapters(model, config)
    optimizer = recipe.optimizer(model, config)
    checkpoint = {
        "model": weights_to_save(model, config),
        "optimizer": recipe.optimizer_state(optimizer),
        "iter_num": 1000,
        "config": config.to_dict(),
    }
    with torch.serialization.skip_data():
        write_checkpoint(checkpoint, path)
    _write_scalars(path, 1000.0)


def _write_scalars(path: Path, value: float) -> None:
    """Put a value into every one-float tensor of a file that ``skip_data`` left without any.

    torch.save stores tensors uncompressed, one zip entry each; a local header is 30 bytes, a name and
    an extra field (PKWARE APPNOTE 4.3.7). torch does not check the entries' checksums when it loads.
    """
    with zipfile.ZipFile(path) as archive:
        entries = [each for each in archive.infolist() if "/data/" in each.filename and each.file_size == 4]
    with path.open("r+b") as stream:
        for entry in entries:
            stream.seek(entry.header_offset + 26)
            name, extra = struct.unpack("<HH", stream.read(4))
            stream.seek(entry.header_offset + 30 + name + extra)
            stream.write(struct.pack("=f", value))
