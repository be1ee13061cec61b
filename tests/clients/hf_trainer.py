"""A training script as anybody would write it: a GPT-2 from random weights and Hugging Face's Trainer.

It knows nothing of nanocheck. tests/virtual/test_transformers.py runs it on the virtual GPU.
"""

import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments


class Tokens(torch.utils.data.Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, index):
        tokens = (torch.arange(128) * (index + 1)) % 5000
        return {"input_ids": tokens, "labels": tokens}


model = GPT2LMHeadModel(GPT2Config(n_layer=4, n_embd=256, n_head=4, vocab_size=5000, n_positions=128))
arguments = TrainingArguments(
    output_dir=sys.argv[1],
    per_device_train_batch_size=4,
    gradient_accumulation_steps=2,
    max_steps=3,
    bf16=True,
    eval_strategy="steps",
    eval_steps=3,
    save_strategy="steps",
    save_steps=3,
    logging_steps=1,
    report_to=[],
    dataloader_num_workers=1,
)
trainer = Trainer(model=model, args=arguments, train_dataset=Tokens(), eval_dataset=Tokens())
trainer.train()
print("device", next(model.parameters()).device)
print("peak", torch.cuda.max_memory_allocated())
print("done", trainer.state.global_step)
