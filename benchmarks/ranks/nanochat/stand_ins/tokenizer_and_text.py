"""What nanochat's ``tok_train`` and ``dataset`` leave on the disk: a tokenizer, and two shards of text.

python tokenizer_and_text.py FOLDER VOCABULARY
"""

import pickle
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tiktoken
import torch

base, vocabulary = Path(sys.argv[1]), int(sys.argv[2])
roles = ("user", "assistant", "python", "output")
special = ["<|bos|>", *(f"<|{role}_{end}|>" for role in roles for end in ("start", "end"))]
plain = vocabulary - len(special)
ranks = {bytes([byte]): byte for byte in range(256)}
ranks |= {bytes(divmod(token - 256, 256)): token for token in range(256, plain)}
encoding = tiktoken.Encoding(
    "stand-in",
    pat_str=r"\p{L}+|[^\p{L}]+",
    mergeable_ranks=ranks,
    special_tokens={name: plain + at for at, name in enumerate(special)},
)
(base / "tokenizer").mkdir(parents=True)
(base / "base_data").mkdir()
(base / "tokenizer" / "tokenizer.pkl").write_bytes(pickle.dumps(encoding))
torch.save(torch.ones(vocabulary, dtype=torch.int32), base / "tokenizer" / "token_bytes.pt")
draw = random.Random(1)
for shard in range(2):
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 9))) for _ in range(5000)]
    texts = [" ".join(draw.choices(words, k=draw.randint(20, 400))) for _ in range(9000)]
    table = pa.table({"text": texts})
    pq.write_table(table, base / "base_data" / f"shard_{shard:05d}.parquet", row_group_size=1000)
