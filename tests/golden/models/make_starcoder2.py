"""Makes starcoder2 and starcoder2-classifier, tiny StarCoder 2s with random weights, beside this file.

    PYTHON make_starcoder2.py DIR

PYTHON has torch, transformers and PEFT (benchmarks/compare-requirements.txt); DIR is the folder of this file, or another.
Texts are longer than the window of 4 tokens. Seeds: 200 and 201, batches 1200 and 1201, adapters 1.
"""

import json
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import Starcoder2Config, Starcoder2ForCausalLM, Starcoder2ForSequenceClassification

STEPS = 12
LENGTHS = (9, 5, 7, 2)
TARGETS = ["q_proj", "v_proj", "c_fc", "c_proj"]


def make_model(kind, seed):
    torch.manual_seed(seed)
    config = Starcoder2Config(
        vocab_size=101,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.15,
        sliding_window=4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        num_labels=3,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
        attn_implementation="eager",
    )
    model = kind(config).to(torch.float32).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "norm." in name or name.endswith(".bias"):
                tensor.add_(0.1 * torch.randn_like(tensor))
    return model


def make_batch(classifies, seed):
    torch.manual_seed(seed)
    ids = torch.randint(2, 101, (len(LENGTHS), max(LENGTHS)))
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        mask[row, :length] = 1
    ids = ids * mask
    labels = torch.tensor([0, 2, 1, 2]) if classifies else ids.masked_fill(mask == 0, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def reference(model, batch):
    out = model(**batch, output_hidden_states=True)
    out.loss.backward()
    tensors = {f"hidden.{k}": state for k, state in enumerate(out.hidden_states)}
    tensors |= {"logits": out.logits, "loss": out.loss.reshape(1)}
    for name, tensor in model.named_parameters():
        if name.endswith(tuple(target + ".weight" for target in [*TARGETS, "score"])):
            tensors["grad." + name] = tensor.grad
    return tensors


def greedy(model, batch):
    prompt = batch["input_ids"][:1, :5]
    ids = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
    return {"greedy.prompt": prompt, "greedy.ids": ids}


def trace(model, batch, folder, classifies):
    torch.manual_seed(1)
    task = {"task_type": "SEQ_CLS"} if classifies else {}
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, lora_dropout=0.0, **task))
    trained = {name: tensor for name, tensor in tuned.named_parameters() if tensor.requires_grad}
    clean = lambda name: name.replace("base_model.model.", "").replace(".modules_to_save", "").replace(".default", "")
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
        f"PEFT LoRA r=4 alpha=8 on {', '.join(TARGETS)}, the batch of io.safetensors every step, AdamW lr 1e-2 betas .9 "
        ".999 eps 1e-8 weight decay .01 on every trained tensor, gradient norm clipped to 1, linear warm-up 3 of 12 "
        "steps; start values in trace.safetensors; losses[k] is the loss before step k"
    )
    text = json.dumps({"what": what, "targets": TARGETS, "losses": losses}, indent=1)
    (folder / "trace.json").write_text(text + "\n")


def main(out):
    cases = {"starcoder2": Starcoder2ForCausalLM, "starcoder2-classifier": Starcoder2ForSequenceClassification}
    for seed, (name, kind) in enumerate(cases.items(), start=200):
        classifies = kind is Starcoder2ForSequenceClassification
        folder = out / name
        make_model(kind, seed).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        batch = make_batch(classifies, seed + 1000)
        tensors = batch | reference(make_model(kind, seed), batch)
        if not classifies:
            tensors |= greedy(make_model(kind, seed), batch)
        save_file({key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}, folder / "io.safetensors")
        trace(make_model(kind, seed), batch, folder, classifies)
        print(name, json.loads((folder / "trace.json").read_text())["losses"])


main(pathlib.Path(sys.argv[1]))
