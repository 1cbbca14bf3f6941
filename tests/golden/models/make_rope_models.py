"""Makes the tiny Llamas with stretched rotary positions beside this file: llama-linear-rope and its kin.

    PYTHON make_rope_models.py DIR

PYTHON has torch, transformers and PEFT (benchmarks/compare-requirements.txt); DIR is the folder of this file, or another.
Each model is random (its seed stands below) and trained for 16 positions; its texts are longer.
"""

import json
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

TRAINED = 16
CASES = {
    "llama-linear-rope": {"rope_type": "linear", "factor": 4.0},
    "llama-dynamic-rope": {"rope_type": "dynamic", "factor": 4.0},
    "llama-yarn-rope": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED},
    "llama-yarn-factor-rope": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": TRAINED,
        "attention_factor": 0.8,
        "beta_fast": 4.0,
        "beta_slow": 0.5,
        "truncate": False,
    },
    "llama-yarn-mscale-rope": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": TRAINED,
        "mscale": 2.0,
        "mscale_all_dim": 0.5,
    },
}
STEPS = 12


def make_model(rope, seed):
    torch.manual_seed(seed)
    # Dynamic scaling reckons from the positions that config.json tells.
    positions = TRAINED if rope["rope_type"] == "dynamic" else 4 * TRAINED
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=positions,
        initializer_range=0.3,
        rms_norm_eps=1e-5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": 10000.0, **rope},
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name.endswith("norm.weight"):
                tensor.add_(0.1 * torch.randn_like(tensor))
    return model


def make_batch():
    lengths = (28, 19)
    ids = torch.randint(1, 64, (len(lengths), max(lengths)))
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    ids = ids * mask
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def reference(model, batch):
    # Dynamic scaling keeps the frequencies of the longest text so far: a model begins anew for each text.
    out = model(**batch, output_hidden_states=True)
    out.loss.backward()
    tensors = {f"hidden.{k}": state for k, state in enumerate(out.hidden_states)}
    tensors |= {"logits": out.logits, "loss": out.loss.reshape(1)}
    for name, tensor in model.named_parameters():
        if name.endswith(("q_proj.weight", "v_proj.weight")):
            tensors["grad." + name] = tensor.grad
    return tensors


def greedy(model, batch):
    prompt = batch["input_ids"][:1, :20]
    ids = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
    return {"greedy.prompt": prompt, "greedy.ids": ids}


def trace(model, batch, folder):
    targets = ["q_proj", "v_proj"]
    torch.manual_seed(1)
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets, lora_dropout=0.0))
    trained = {name: tensor for name, tensor in tuned.named_parameters() if tensor.requires_grad}
    clean = lambda name: name.replace("base_model.model.", "").replace(".default", "")
    save_file({clean(name): tensor.detach().clone() for name, tensor in trained.items()}, folder / "trace.safetensors")
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / 3 if step < 3 else (STEPS - step) / (STEPS - 3)
    )
    losses = []
    for _ in range(STEPS):
        loss = tuned(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    what = (
        "PEFT LoRA r=4 alpha=8 on q_proj, v_proj, the batch of io.safetensors every step, AdamW lr 1e-2 betas .9 .999 "
        "eps 1e-8 weight decay .01 on every trained tensor, gradient norm clipped to 1, linear warm-up 3 of 12 steps; "
        "start values in trace.safetensors; losses[k] is the loss before step k"
    )
    text = json.dumps({"what": what, "targets": targets, "losses": losses}, indent=1)
    (folder / "trace.json").write_text(text + "\n")


def main(out):
    for seed, (name, rope) in enumerate(CASES.items(), start=100):
        folder = out / name
        model = make_model(rope, seed)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        torch.manual_seed(seed + 1000)
        batch = make_batch()
        tensors = batch | reference(model, batch) | greedy(make_model(rope, seed), batch)
        save_file({key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}, folder / "io.safetensors")
        trace(make_model(rope, seed), batch, folder)
        print(name, json.loads((folder / "trace.json").read_text())["losses"])


main(pathlib.Path(sys.argv[1]))
