"""One LoRA or QLoRA step of a Hugging Face model, measured after a step that warms up.

It knows nothing of nanocheck. The order of what touches the card is that of the script by which the rows
of ``benchmarks/t4_lora.csv`` were measured (see ``benchmarks/t4_lora.py``): load, adapters, checkpointing,
optimizer, one batch of random tokens, a step, peaks reset, a step, and a third whose phases are told apart.
The weights are a checkpoint without contents (a sparse file of zeros), loaded by ``from_pretrained`` as a
downloaded one would be.

Printed, in bytes: ``loaded``, ``peak``, ``reserved``, ``forward``, ``backward``, ``optimizer``.
"""

import argparse
import json
import tempfile
from contextlib import nullcontext
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, Qwen2Config

NAMES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "tie_word_embeddings",
)
#: Sizes of the models' published configurations, in the order of ``NAMES``.
SHAPES = {
    "SmolLM2-135M": (LlamaConfig, (49152, 576, 1536, 30, 9, 3, True)),
    "SmolLM2-360M": (LlamaConfig, (49152, 960, 2560, 32, 15, 5, True)),
    "SmolLM2-1.7B": (LlamaConfig, (49152, 2048, 8192, 24, 32, 32, True)),
    "TinyLlama-1.1B": (LlamaConfig, (32000, 2048, 5632, 22, 32, 4, False)),
    "Qwen2.5-1.5B": (Qwen2Config, (151936, 1536, 8960, 28, 12, 2, True)),
}


def write_checkpoint(model_name: str, folder: str) -> None:
    """A checkpoint in bf16, as these models are published, of zeros that take no room on the disk."""
    kind, sizes = SHAPES[model_name]
    config = kind(**dict(zip(NAMES, sizes, strict=True)))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.config.save_pretrained(folder)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        offsets = [end, end := end + 2 * tensor.numel()]
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    with (Path(folder) / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def load(options: argparse.Namespace) -> torch.nn.Module:
    keywords = {"dtype": torch.float16, "attn_implementation": options.attention}
    if options.quantisation == "nf4":
        keywords["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float16
        )
        keywords["device_map"] = {"": 0}
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(options.model, folder)
        model = AutoModelForCausalLM.from_pretrained(folder, **keywords)
    if options.quantisation == "none":
        model = model.cuda()
    model.config.use_cache = False
    if options.quantisation != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=True)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    lora = LoraConfig(r=32, lora_alpha=64, task_type="CAUSAL_LM", target_modules=targets)
    model = get_peft_model(model, lora)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    return model.train()


attention_of_torch = functional.scaled_dot_product_attention


def with_expanded_heads(query, key, value, *arguments, **keywords):
    """The memory-efficient kernel wants as many heads of keys and values as of queries."""
    groups = query.size(-3) // key.size(-3)
    if groups > 1:
        key, value = (each.repeat_interleave(groups, dim=-3) for each in (key, value))
        keywords.pop("enable_gqa", None)
    return attention_of_torch(query, key, value, *arguments, **keywords)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=SHAPES, default="SmolLM2-135M")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--attention", choices=("eager", "sdpa"), default="sdpa")
    parser.add_argument("--quantisation", choices=("none", "nf4"), default="none")
    options = parser.parse_args()
    memory = torch.cuda
    torch.manual_seed(0)
    memory.init()
    pinned = nullcontext()
    if options.attention == "sdpa":
        functional.scaled_dot_product_attention = with_expanded_heads
        pinned = sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION)
    model = load(options)
    print("loaded", memory.memory_allocated())
    trained = [each for each in model.parameters() if each.requires_grad]
    for each in trained:
        each.data = each.data.float()
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    vocabulary = SHAPES[options.model][1][0]
    tokens = torch.randint(vocabulary, (options.batch, options.length), device="cuda")

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        output = model(input_ids=tokens, labels=tokens)
        output.loss.backward()
        optimizer.step()

    with pinned:
        step()
        memory.reset_peak_memory_stats()
        step()
        print("peak", memory.max_memory_allocated())
        print("reserved", memory.max_memory_reserved())
        optimizer.zero_grad(set_to_none=True)
        memory.reset_peak_memory_stats()
        output = model(input_ids=tokens, labels=tokens)
        print("forward", memory.max_memory_allocated())
        memory.reset_peak_memory_stats()
        output.loss.backward()
        print("backward", memory.max_memory_allocated())
        memory.reset_peak_memory_stats()
        optimizer.step()
        print("optimizer", memory.max_memory_allocated())


if __name__ == "__main__":
    main()
