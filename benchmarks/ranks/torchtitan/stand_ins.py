"""Stands in for what torchtitan's run wants of the network: a tokenizer of Llama 3's size, and some text.

Memory does not hang on either: the vocabulary keeps its 128,256 words, and every batch is 2 x 8192 tokens.

    python benchmarks/ranks/torchtitan/stand_ins.py FOLDER     # torchtitan's own folder
"""

import argparse
import base64
import itertools
import json
import random
from pathlib import Path

#: Llama 3's, without the 256 special ones that torchtitan adds.
WORDS = 128_000
_TEXTS, _LETTERS = 2_000, 600


def write_tokenizer(path: Path) -> None:
    """Every byte is a token, as byte pair encoding wants; the other tokens are never met in a text."""
    single = (bytes([each]) for each in range(256))
    never = (b"\xff" + bytes(pair) + b"\xff" for pair in itertools.product(range(256), range(256)))
    more = (b"\xfe\xff" + bytes(pair) + b"\xff" for pair in itertools.product(range(256), range(256)))
    tokens = itertools.islice(itertools.chain(single, never, more), WORDS)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(tokens))
    path.write_text("\n".join(lines) + "\n")


def write_texts(path: Path) -> None:
    """Words of random letters, where torchtitan looks for its small excerpt of C4."""
    letters = random.Random(0).choices("abcdefghijklmnopqrstuvwxyz     ", k=_TEXTS * _LETTERS)
    texts = ("".join(letters[each : each + _LETTERS]) for each in range(0, len(letters), _LETTERS))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="torchtitan's own sources")
    folder = parser.parse_args().folder
    write_tokenizer(folder / "torchtitan/datasets/tokenizer/original/tokenizer.model")
    write_texts(folder / "tests/assets/c4_test/data.json")
