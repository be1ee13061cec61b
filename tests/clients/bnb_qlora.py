"""QLoRA: a Llama-style model of random weights in 4 bits, trained through LoRA adapters by peft.

It knows nothing of nanocheck. ``python bnb_qlora.py [--steps N]``
"""

import argparse

import bitsandbytes
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=3)
options = parser.parse_args()


def quantize(module):
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name != "lm_head":
            four = bitsandbytes.nn.Linear4bit(
                child.in_features,
                child.out_features,
                bias=child.bias is not None,
                compute_dtype=torch.bfloat16,
                quant_type="nf4",
            )
            four.load_state_dict(child.state_dict())
            setattr(module, name, four)
        else:
            quantize(child)


config = LlamaConfig(
    vocab_size=4000,
    hidden_size=512,
    intermediate_size=1536,
    num_hidden_layers=4,
    num_attention_heads=8,
    num_key_value_heads=4,
)
model = LlamaForCausalLM(config).to(torch.bfloat16)
quantize(model)
model.is_loaded_in_4bit = True
model.cuda()
print("weights", torch.cuda.memory_allocated())
model = get_peft_model(model, LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
model.print_trainable_parameters()
optimizer = bitsandbytes.optim.AdamW8bit((p for p in model.parameters() if p.requires_grad), lr=1e-4)
for _ in range(options.steps):
    tokens = torch.randint(0, 4000, (2, 256), device="cuda")
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print("peak", torch.cuda.max_memory_allocated())
print("done", options.steps)
