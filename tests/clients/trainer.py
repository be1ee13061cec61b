"""Hugging Face's Trainer with a model of random weights, as anybody would write it.

It knows nothing of nanocheck. ``python trainer.py OUTPUT [--model llama] [--checkpointing] [--steps N]``
Qwen's embeddings are tied. Mixtral and OLMoE are mixtures of experts; ``--experts eager`` loops over them.
"""

import argparse

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Trainer,
    TrainingArguments,
    set_seed,
)

parser = argparse.ArgumentParser()
parser.add_argument("output")
parser.add_argument("--model", choices=["gpt2", "llama", "qwen", "mixtral", "olmoe"], default="gpt2")
parser.add_argument("--experts", choices=["grouped_mm", "batched_mm", "eager"])
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
    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": LENGTH,
    }
    if options.model == "llama":
        model = LlamaForCausalLM(LlamaConfig(**settings))
    elif options.model == "qwen":
        model = Qwen2ForCausalLM(Qwen2Config(**settings, tie_word_embeddings=True))
    elif options.model == "mixtral":
        model = MixtralForCausalLM(MixtralConfig(**settings, num_local_experts=4, output_router_logits=True))
    else:
        settings.update(intermediate_size=256, num_experts=16, num_experts_per_tok=4)
        model = OlmoeForCausalLM(OlmoeConfig(**settings, output_router_logits=True))
if options.experts:
    model.set_experts_implementation(options.experts)

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
print("weights", sum(each.nbytes for each in model.parameters()))
print("peak", torch.cuda.max_memory_allocated())
print("reserved", torch.cuda.max_memory_reserved())
print("done", trainer.state.global_step)
