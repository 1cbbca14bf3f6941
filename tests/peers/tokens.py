"""tokens.py RANKFOLD: methods prompt and prefix beside transformers and huggingface/peft, on golden models.

Of each: counts, PEFT's adapters here and ours there, twelve steps of training. PEFT takes no
prefixes of classifiers: those are compared with transformers' own cache. Prints one line a case
with the largest difference; ends with 1 naming the cases that failed.
"""

import inspect
import json
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

from place import (Failure, golden_places, is_causal, largest_difference, peft, randomise, run_cases,
                   torch, transformers)

tokens = 3
steps = 12
rate = 1e-2


def count(place, method):
    output = place.expect("count", "--model", place.model, "--method", method, "--set",
                          f"tokens={tokens}", "--json")
    return json.loads(output)["adapter"]


def finetune(place, work, method, epochs=1):
    """Every epoch is one step over all rows; the losses before each."""
    place.expect("finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", method, "--set", f"tokens={tokens}", "--lr", rate, "--epochs", epochs,
                 "--batch", 40, "--max-length", 16, "--dropout", 0, "--threads", 1, "--schedule",
                 "constant", "--warmup", 0, "--clip", 0, "--weight-decay", 0, "--out", work)
    return [epoch["loss"] for epoch in json.loads((work / "run.json").read_text())["epochs"]]


def expect_count(ours, theirs):
    if ours != theirs:
        raise Failure(f"count: {ours} parameters, expected {theirs}")


def prompt_of_peft(place, work):
    config = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=tokens)
    model = peft.get_peft_model(place.load(), config)
    expect_count(count(place, "prompt"), model.prompt_encoder["default"].embedding.weight.numel())
    randomise(model, 1)
    model.save_pretrained(work / "peft")
    place.expect("export", "--adapter", work / "peft", "--as", "native", "--model", place.model,
                 "--out", work / "native")
    return largest_difference(place.logits(model), {
        "ours": place.our_logits(work / "peft"),
        "native": place.our_logits(work / "native"),
    })


def training_rows(place):
    lines = (place.data / "train.tsv").read_text().splitlines()
    return [([int(word[1:]) for word in line.split("\t")[3].split()], int(line.split("\t")[1]))
            for line in lines]


def relative(ours, theirs):
    largest = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))
    if not largest <= 1e-5:
        raise Failure(f"losses {ours}, expected {theirs}")
    return largest


def train_in_torch(place, forward, parameters):
    """Losses of twelve steps of AdamW on the mean over all rows, each computed alone."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        rows = training_rows(place)
        loss = sum(torch.nn.functional.cross_entropy(forward(place.ids(row)), torch.tensor([label]))
                   for row, label in rows) / len(rows)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_prompt(place, work):
    """A start of ours, which a rate of next to nothing leaves as it is, trained here and there."""
    ours = finetune(place, work / "run", "prompt", steps)
    start = started(place, work, "prompt")
    # PEFT trains no prompt that it has loaded.
    file = load_file(start / "adapter_model.safetensors")
    config = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=tokens)
    model = peft.get_peft_model(place.load(), config).eval()
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(file.pop("prompt_embeddings"))
        for name, tensor in file.items():
            module, part = name.removeprefix("base_model.").split(".", 1)
            saved = model.get_submodule(f"base_model.{module}").modules_to_save["default"]
            saved.get_parameter(part).copy_(tensor)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    theirs = train_in_torch(place, lambda ids: model(ids).logits, trained)
    place.expect("export", "--adapter", work / "run/adapter", "--as", "peft", "--model", place.model,
                 "--out", work / "trained")
    logits = largest_difference(place.our_logits(work / "run/adapter"), {
        "peft": place.peft_logits(work / "trained"),
        "read back": place.our_logits(work / "trained")})
    return max(relative(ours, theirs), logits)


def started(place, work, method):
    place.expect("finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", method, "--set", f"tokens={tokens}", "--lr", "1e-30", "--steps", 1,
                 "--batch", 40, "--max-length", 16, "--dropout", 0, "--threads", 1, "--out",
                 work / "start")
    place.expect("export", "--adapter", work / "start/adapter", "--as", "peft", "--model",
                 place.model, "--out", work / "start-peft")
    return work / "start-peft"


def filled_cache(rows, config, batch=1):
    """transformers' cache of a PEFT prefix [tokens, layers * 2 * width]."""
    cache = transformers.DynamicCache()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    layers = rows.view(tokens, config.num_hidden_layers, 2, heads, -1).permute(1, 2, 3, 0, 4)
    for number, (key, value) in enumerate(layers):
        cache.update(key.expand(batch, -1, -1, -1), value.expand(batch, -1, -1, -1), number)
    return cache


def cache_name(model):
    backbone = getattr(model, model.base_model_prefix)
    names = inspect.signature(backbone.forward).parameters
    return "cache" if "cache" in names else "past_key_values"


def train_prefix(place, work):
    """The same of a prefix, beside transformers' own cache."""
    ours = finetune(place, work / "run", "prefix", steps)
    start = started(place, work, "prefix")
    file = load_file(start / "adapter_model.safetensors")
    model = place.load()
    expect_count(count(place, "prefix"), file["prompt_embeddings"].numel())
    rows = torch.nn.Parameter(file.pop("prompt_embeddings"))
    model.load_state_dict({name.removeprefix("base_model."): tensor for name, tensor in file.items()},
                          strict=False)
    head = [weight for name, weight in model.named_parameters()
            if "base_model." + name in file]
    name = cache_name(model)

    def forward(ids):
        mask = torch.ones(1, tokens + ids.shape[1], dtype=torch.long)
        return model(ids, attention_mask=mask, use_cache=True,
                     **{name: filled_cache(rows, model.config)}).logits

    model.eval()
    theirs = train_in_torch(place, forward, [rows, *head])
    with torch.no_grad():
        found = torch.cat([forward(place.ids(row)) for row in place.dev]).double()
    return max(relative(ours, theirs), largest_difference(place.our_logits(work / "run/adapter"),
                                                          {"transformers": found}) / 10)


def language_model(place, work, method):
    """PEFT's adapter here: what both continue texts with; counts; and back there."""
    def load():
        return transformers.AutoModelForCausalLM.from_pretrained(place.model)

    kind = peft.PrefixTuningConfig if method == "prefix" else peft.PromptTuningConfig
    model = peft.get_peft_model(load(), kind(task_type="CAUSAL_LM", num_virtual_tokens=tokens))
    expect_count(count(place, method), model.prompt_encoder["default"].embedding.weight.numel())
    randomise(model, 1)
    model.eval()
    model.save_pretrained(work / "peft")
    place.expect("export", "--adapter", work / "peft", "--as", "native", "--model", place.model,
                 "--out", work / "native")
    place.expect("export", "--adapter", work / "native", "--as", "peft", "--model", place.model,
                 "--out", work / "back")
    back = peft.PeftModel.from_pretrained(load(), str(work / "back")).eval()
    with torch.no_grad():
        ids = place.ids(place.dev[5])
        given = ids.shape[1]
        for _ in range(8):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
        difference = largest_difference(
            logits.double(), {"back in peft": back(input_ids=ids[:, :-1], attention_mask=torch.ones_like(
                ids[:, :-1])).logits[:, -1].double()})
    expected = ids[0, given:].tolist()
    for adapter in ("peft", "native"):
        output = place.expect("generate", "--model", place.model, "--adapter", work / adapter,
                              "--prompt", " ".join(f"w{token}" for token in place.dev[5]),
                              "--max-new", 8, "--threads", 1, "--json")
        ours = json.loads(output)["ids"]
        ours = ours[-len(ids[0]):][given:]
        if ours != expected[:len(ours)] or not ours:
            raise Failure(f"generate --adapter {adapter} gives {ours}, expected {expected}")
    return difference


def main():
    with tempfile.TemporaryDirectory(prefix="rankfold-peers-") as folder:
        cases = {}
        for source, config, place in golden_places(sys.argv[1], folder):
            if is_causal(config):
                for method in ("prompt", "prefix"):
                    cases[f"{source}, language model, {method}"] = (
                        lambda work, place=place, method=method: language_model(place, work, method))
            if config["model_type"] != "albert":  # whose embeddings are too narrow for PEFT's
                cases[f"{source}, peft's prompt"] = lambda work, place=place: prompt_of_peft(place, work)
                cases[f"{source}, a prompt trained"] = lambda work, place=place: train_prompt(place, work)
            if config["model_type"] not in ("albert", "deberta", "deberta-v2"):  # none with a cache
                cases[f"{source}, a prefix trained"] = lambda work, place=place: train_prefix(place, work)
        failed = run_cases(cases, Path(folder))
    if failed:
        sys.exit(f"tokens: failed: {', '.join(failed)}")


main()
