"""Fine-tuning BERT as its published measurement did: fp32 weights, 16-bit autocast, AdamW, dropout on.

It knows nothing of nanocheck. tests/virtual/test_transformers.py compares the virtual T4 with a real one.
"""

import sys

import torch
from transformers import BertConfig, BertForSequenceClassification

batch, length = int(sys.argv[1]), int(sys.argv[2])
# A T4 says yes, since it emulates bf16, for which PyTorch has nothing but math attention there.
dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
model = BertForSequenceClassification(BertConfig()).cuda().train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
tokens = torch.randint(0, 30522, (batch, length)).cuda()
mask = torch.ones_like(tokens)
labels = torch.zeros(batch, dtype=torch.long).cuda()
for _ in range(2):
    torch.cuda.reset_peak_memory_stats()
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=dtype):
        loss = model(input_ids=tokens, attention_mask=mask, labels=labels).loss
    loss.backward()
    optimizer.step()
print("allocated", torch.cuda.max_memory_allocated())
print("reserved", torch.cuda.max_memory_reserved())
print("dtype", str(dtype).removeprefix("torch."))
