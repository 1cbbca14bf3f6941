"""The other side of benchmarks/compare: one measurement with torch, transformers and PEFT.

Each call is a process of its own, so that its peak memory is that of the measurement. Prints one line
of JSON.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import statistics
import time

import numpy
import peft
import safetensors.torch
import tensorly
import torch
import transformers

from glue_rows import padded, read_rows

WARM_UP = 2


def peak_memory_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def versions(_):
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "tensorly": tensorly.__version__,
        "numpy": numpy.__version__,
        "threads": torch.get_num_threads(),
    }


class Layer(torch.nn.Module):
    """One linear layer, where PEFT finds it by name."""

    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)

    def forward(self, x):
        return self.linear(x)


def adapter_config(method, rank):
    targets = ["linear"]
    if method == "lora":
        return peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=targets)
    if method == "dora":
        return peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, use_dora=True)
    if method == "loha":
        return peft.LoHaConfig(r=rank, alpha=rank, target_modules=targets)
    return peft.LoKrConfig(r=rank, alpha=rank, target_modules=targets)


def measure_layer(options):
    """Forward and backward, with the gradient of the input, over those of the frozen layer."""
    torch.manual_seed(1)
    frozen = Layer(options.width).requires_grad_(False)
    adapted = peft.get_peft_model(Layer(options.width), adapter_config(options.method, options.rank))
    adapted.train()
    x = torch.randn(options.tokens, options.width, requires_grad=True)
    dy = torch.randn(options.tokens, options.width)

    def seconds(module):
        x.grad = None
        module.zero_grad()
        start = time.perf_counter()
        module(x).backward(dy)
        return time.perf_counter() - start

    pairs = []
    for round_ in range(WARM_UP + options.steps):
        if round_ % 2 == 0:
            without, with_ = seconds(frozen), seconds(adapted)
        else:
            with_, without = seconds(adapted), seconds(frozen)
        if round_ >= WARM_UP:
            pairs.append((without, with_))
    return {
        "frozen_ms": 1e3 * statistics.median(without for without, _ in pairs),
        "forward_backward_ms": 1e3 * statistics.median(with_ for _, with_ in pairs),
        "overhead": statistics.median(with_ / without for without, with_ in pairs),
    }


def load_model(name, loss):
    """A model folder, where it has no weights with random ones; or BERT-base with random weights."""
    kind = (transformers.AutoModelForCausalLM if loss == "tokens"
            else transformers.AutoModelForSequenceClassification)
    if name == "bert-base":
        return kind.from_config(transformers.BertConfig(num_labels=2))
    if any(pathlib.Path(name).glob("*.safetensors")):
        return kind.from_pretrained(name, dtype=torch.float32, **({} if loss == "tokens" else {"num_labels": 2}))
    return kind.from_config(transformers.AutoConfig.from_pretrained(name))


def adapt(model, rank, loss="classification"):
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    targets = next(pair for pair in (["query", "value"], ["q_proj", "v_proj"], ["query_proj", "value_proj"])
                   if names.issuperset(pair))
    config = peft.LoraConfig(r=rank, lora_alpha=8, target_modules=targets,
                             task_type="CAUSAL_LM" if loss == "tokens" else "SEQ_CLS")
    adapted = peft.get_peft_model(model, config)
    adapted.train()
    return adapted, [parameter for parameter in adapted.parameters() if parameter.requires_grad]


def precision(name):
    if name == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def random_batch(options):
    ids = torch.randint(1000, 20000, (options.batch, options.length))
    labels = ids if options.loss == "tokens" else torch.arange(options.batch) % 2
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def write_trace(options):
    """Losses and gradient norms of twelve steps without dropout, and all that `rankfold check training`
    needs to take the same steps: the model, the batch, and what trains at the start."""
    torch.manual_seed(1)
    folder = pathlib.Path(options.out)
    base = load_model(options.model, options.loss)
    for module in base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if name.endswith("dropout") and isinstance(value, float):
                setattr(module, name, 0.0)
    for key in list(vars(base.config)):
        if "dropout" in key and isinstance(getattr(base.config, key), float):
            setattr(base.config, key, 0.0)
    base.save_pretrained(folder)
    model, trained = adapt(base, options.rank, options.loss)
    # A gradient of A as well from the first step on.
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    batch = random_batch(options)
    safetensors.torch.save_file({name: tensor.clone() for name, tensor in batch.items()}, folder / "io.safetensors")
    plain = {name.replace("base_model.model.", "").replace(".default", "").replace(".modules_to_save", ""): parameter
             for name, parameter in model.named_parameters() if parameter.requires_grad}
    safetensors.torch.save_file({name: parameter.detach().clone().contiguous() for name, parameter in plain.items()},
                                folder / "trace.safetensors")
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.01)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 3, 12)
    losses, norms = [], []
    for _ in range(12):
        optimizer.zero_grad()
        with precision(options.precision):
            loss = model(**batch).loss
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(trained, 1.0).item())
        optimizer.step()
        schedule.step()
    (folder / "trace.json").write_text(json.dumps({"losses": losses, "gradient_norms": norms}))
    return {"losses": losses, "gradient_norms": norms}


def measure_step(options):
    torch.manual_seed(1)
    model, trained = adapt(load_model(options.model, options.loss), options.rank, options.loss)
    optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=0)
    batch = random_batch(options)
    if options.compile:
        model = torch.compile(model)

    def step():
        start = time.perf_counter()
        optimizer.zero_grad()
        with precision(options.precision):
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        return time.perf_counter() - start

    seconds = statistics.median([step() for _ in range(WARM_UP + options.steps)][WARM_UP:])
    return {
        "step_ms": 1e3 * seconds,
        "tokens_per_second": options.batch * options.length / seconds,
        "peak_memory_mib": peak_memory_mib(),
    }


def measure_training(options):
    """One epoch with dynamic padding; tokens are those of the attention mask."""
    torch.manual_seed(42)
    texts, labels = zip(*read_rows(options.task, options.data, "train", options.max_train))
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    encoded = tokenizer([text for text, in texts], truncation=True, max_length=128)
    model, trained = adapt(load_model(options.model, "classification"), options.rank)
    optimizer = torch.optim.AdamW(trained, lr=5e-4, weight_decay=0)
    order = torch.randperm(len(texts)).tolist()
    batches = [order[begin : begin + options.batch] for begin in range(0, len(order), options.batch)]
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, int(0.06 * len(batches)), len(batches))
    tokens = 0
    start = time.perf_counter()
    for rows in batches:
        input_ids, mask = padded([encoded["input_ids"][row] for row in rows], tokenizer.pad_token_id)
        optimizer.zero_grad()
        loss = model(
            input_ids=input_ids, attention_mask=mask, labels=torch.tensor([int(labels[row]) for row in rows])
        ).loss
        loss.backward()
        optimizer.step()
        schedule.step()
        loss.item()
        tokens += int(mask.sum())
    seconds = time.perf_counter() - start
    return {"tokens_per_second": tokens / seconds, "tokens": tokens, "peak_memory_mib": peak_memory_mib()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["versions", "layer", "step", "trace", "train"])
    parser.add_argument("--method", choices=["lora", "dora", "loha", "lokr"], default="lora")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--model", default="bert-base")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--loss", choices=["classification", "tokens"], default="classification")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", default="", help="an empty folder, of trace")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--task", choices=["sst2", "cola"], default="sst2")
    parser.add_argument("--data", default="")
    parser.add_argument("--max-train", type=int, default=0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    measure = {"versions": versions, "layer": measure_layer, "step": measure_step, "trace": write_trace,
               "train": measure_training}
    print(json.dumps(measure[options.what](options)))


if __name__ == "__main__":
    main()
