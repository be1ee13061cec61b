"""Hugging Face's Trainer with a GPT-2 or a Llama-style model of random weights, as anybody would write it.

It knows nothing of nanocheck. ``python trainer.py OUTPUT [--model llama] [--checkpointing] [--steps N]``
"""

import argparse

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
    set_seed,
)

parser = argparse.ArgumentParser()
parser.add_argument("output")
parser.add_argument("--model", choices=["gpt2", "llama"], default="gpt2")
parser.add_argument("--checkpointing", action="store_true")
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--batch", type=int, default=4)
options = parser.parse_args()

LENGTH, VOCABULARY = 256, 8000
set_seed(0)


class Tokens(torch.utils.data.Dataset):
    def __len__(self):
        return 512

    def __getitem__(self, index):
        tokens = (torch.arange(LENGTH) * (index + 1)) % VOCABULARY
        return {"input_ids": tokens, "labels": tokens}


if options.model == "gpt2":
    config = GPT2Config(n_layer=6, n_embd=384, n_head=6, vocab_size=VOCABULARY, n_positions=LENGTH)
    model = GPT2LMHeadModel(config)
else:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
    )
    model = LlamaForCausalLM(config)

arguments = TrainingArguments(
    output_dir=options.output,
    per_device_train_batch_size=options.batch,
    gradient_accumulation_steps=2,
    gradient_checkpointing=options.checkpointing,
    max_steps=options.steps,
    bf16=True,
    eval_strategy="steps",
    eval_steps=options.steps,
    save_strategy="steps",
    save_steps=options.steps,
    logging_steps=1,
    report_to=[],
)
held_out = torch.utils.data.Subset(Tokens(), range(16))
trainer = Trainer(model=model, args=arguments, train_dataset=Tokens(), eval_dataset=held_out)
trainer.train()
print("peak", torch.cuda.max_memory_allocated())
print("reserved", torch.cuda.max_memory_reserved())
print("done", trainer.state.global_step)
