"""The tokens that a plan trains on, and the hash of the text they come from. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.numerics.plan import TEXTS
from nanocheck.step.text import gpt2_encoding, python_help

#: Characters of the corpus that the small vocabularies take: some ten thousand tokens.
PART = 60_000


def tokens_of(text: str, config: StepConfig) -> tuple[Sequence[int], str]:
    """Token ids below the configuration's vocabulary, and the sha256 of their text.

    Raises:
        RequestError: no such text.
    """
    if text == "language":
        from nanocheck.numerics.language.source import language_tokens

        found = language_tokens(config)
        return found, hashlib.sha256(bytes(found)).hexdigest()
    corpus = python_help()
    if text == "bytes":
        return list(corpus.text[:PART].encode()), corpus.sha256
    if text == "gpt2":
        return gpt2_encoding().encode_ordinary(corpus.text[:PART]), corpus.sha256
    if text == "compact":
        return compact(gpt2_encoding().encode_ordinary(corpus.text[:PART]), config.vocab_size), corpus.sha256
    if text == "one":
        encoded = gpt2_encoding().encode_ordinary(corpus.text[:PART])
        return compact(encoded, config.vocab_size)[: config.block_size + 1], corpus.sha256
    raise RequestError(f"text: expected one of {', '.join(TEXTS)}, found {text!r}")


def compact(tokens: Sequence[int], vocabulary: int) -> list[int]:
    """The tokens numbered in the order in which they first occur, up to the one that finds no number."""
    numbers: dict[int, int] = {}
    found = []
    for token in tokens:
        if token not in numbers and len(numbers) == vocabulary:
            break
        found.append(numbers.setdefault(token, len(numbers)))
    return found
