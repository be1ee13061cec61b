"""TRL's SFTTrainer or DPOTrainer with a Qwen of random weights (tied embeddings), as anybody would write it.

It knows nothing of nanocheck, and the network is not asked: the tokenizer knows made-up words.
``python trl_trainer.py OUTPUT [--method dpo] [--packing] [--lora] [--steps N]``
"""

import argparse
import copy
import random

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

parser = argparse.ArgumentParser()
parser.add_argument("output")
parser.add_argument("--method", choices=["sft", "dpo"], default="sft")
parser.add_argument("--packing", action="store_true")
parser.add_argument("--lora", action="store_true")
parser.add_argument("--steps", type=int, default=4)
options = parser.parse_args()

VOCABULARY, LENGTH = 8000, 256
set_seed(0)
words = {"<pad>": 0, "<end>": 1, "<unknown>": 2, **{f"w{n}": n for n in range(3, VOCABULARY)}}
fast = Tokenizer(models.WordLevel(words, unk_token="<unknown>"))
fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=fast, pad_token="<pad>", eos_token="<end>", unk_token="<unknown>"
)
model = Qwen2ForCausalLM(
    Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
)
random.seed(0)


def text(least, most):
    return " ".join(f"w{random.randrange(3, VOCABULARY)}" for _ in range(random.randint(least, most)))


settings = {
    "output_dir": options.output,
    "per_device_train_batch_size": 8,
    "max_length": LENGTH,
    "max_steps": options.steps,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "gradient_checkpointing": False,
    "bf16": True,
}
adapters = {}
if options.lora:
    from peft import LoraConfig

    adapters["peft_config"] = LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=["q_proj", "v_proj"])
if options.method == "sft":
    from trl import SFTConfig, SFTTrainer

    rows = [{"prompt": text(8, 60), "completion": " " + text(8, 200)} for _ in range(64)]
    settings.update(packing=options.packing, packing_strategy="wrapped", completion_only_loss=True)
    trainer = SFTTrainer(
        model,
        SFTConfig(**settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        **adapters,
    )
else:
    from trl import DPOConfig, DPOTrainer

    rows = [
        {"prompt": text(8, 60), "chosen": " " + text(8, 150), "rejected": " " + text(8, 150)}
        for _ in range(64)
    ]
    trainer = DPOTrainer(
        model,
        None if options.lora else copy.deepcopy(model),
        args=DPOConfig(**settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        **adapters,
    )
collate = trainer.data_collator


def collated(examples):
    batch = collate(examples)
    wanted = batch["labels"] != -100 if "labels" in batch else batch["completion_mask"]
    print("labelled", *batch["input_ids"].shape, int(wanted[:, 1:].sum()))  # the first token has no guess
    return batch


trainer.data_collator = collated
trainer.train()
print("peak", torch.cuda.max_memory_allocated())
print("done", trainer.state.global_step)
