"""What the scripts beside this file share: what transformers and PEFT compute with a tiny random model, as a folder."""

import json

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

STEPS = 12


def add_noise(model, is_chosen):
    """To the weights whose names are chosen: norms and biases, which begin as ones and zeros."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if is_chosen(name):
                tensor.add_(0.1 * torch.randn_like(tensor))


def padded(ids, lengths):
    """Texts of these lengths, and their mask."""
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    return ids * mask, mask


def reference(model, batch, names):
    """Hidden states, logits, loss, and the gradients of the weights whose names end so."""
    out = model(**batch, output_hidden_states=True)
    out.loss.backward()
    tensors = {f"hidden.{k}": state for k, state in enumerate(out.hidden_states)}
    tensors |= {"logits": out.logits, "loss": out.loss.reshape(1)}
    for name, tensor in model.named_parameters():
        if name.endswith(tuple(end + ".weight" for end in names)):
            tensors["grad." + name] = tensor.grad
    return tensors


def greedy(model, batch, tokens):
    prompt = batch["input_ids"][:1, :tokens]
    ids = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
    return {"greedy.prompt": prompt, "greedy.ids": ids}


def trace(model, batch, folder, targets, **task):
    """Twelve steps of PEFT's LoRA: trace.safetensors and trace.json."""
    torch.manual_seed(1)
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets, lora_dropout=0.0, **task))
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
        f"PEFT LoRA r=4 alpha=8 on {', '.join(targets)}, the batch of io.safetensors every step, AdamW lr 1e-2 betas .9 "
        ".999 eps 1e-8 weight decay .01 on every trained tensor, gradient norm clipped to 1, linear warm-up 3 of 12 "
        "steps; start values in trace.safetensors; losses[k] is the loss before step k"
    )
    text = json.dumps({"what": what, "targets": targets, "losses": losses}, indent=1)
    (folder / "trace.json").write_text(text + "\n")
    return losses


def save_model(model, folder):
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def save_tensors(tensors, folder):
    tensors = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    save_file(tensors, folder / "io.safetensors")
