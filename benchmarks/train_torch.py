"""The other side of benchmarks/compare_tasks: one run with torch, transformers and PEFT.

LoRA on the queries and values, AdamW without decay, a linear warm-up over 6 % of the steps and a linear
decay to 0, dropout as config.json says. `head` trains a classifier on GLUE's rows, `prompt` a language model
on tables of text and label: the cross-entropy over the mean log-probabilities of the options behind their
prompt (docs/tasks-by-prompt.md). Prints one line of JSON.
"""

import argparse
import json
import math
import pathlib
import time

import numpy
import scipy.stats
import torch
import transformers

from compare_torch import adapt
from glue_rows import padded, read_rows


def head_scores(task, outputs, labels):
    if task == "stsb":
        return {"pearson": scipy.stats.pearsonr(outputs[:, 0], labels).statistic,
                "spearman": scipy.stats.spearmanr(outputs[:, 0], labels).statistic}
    predictions = outputs.argmax(1)
    if task == "cola":
        varies = len(set(predictions)) > 1
        return {"matthews_correlation": numpy.corrcoef(predictions, labels)[0, 1] if varies else 0}
    return {"accuracy": (predictions == labels).mean()}


class HeadTask:
    """A classifier, or of stsb a regression, on pairs or single texts."""

    def __init__(self, options):
        self.task = options.task
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
        self.train = self._encode(read_rows(options.task, options.data, "train", options.max_train))
        self.dev = self._encode(read_rows(options.task, options.data, "dev"))
        base = transformers.AutoModelForSequenceClassification.from_pretrained(
            options.model, dtype=torch.float32, num_labels=1 if options.task == "stsb" else 2)
        torch.nn.init.normal_(base.classifier.weight, std=0.02)
        torch.nn.init.zeros_(base.classifier.bias)
        self.model, self.trained = adapt(base, options.rank)

    def _encode(self, rows):
        texts = [text for text, _ in rows]
        ids = self.tokenizer([text[0] for text in texts], [text[1] for text in texts] if len(texts[0]) > 1 else None,
                             truncation=True, max_length=128)
        types = ids.get("token_type_ids", [[0] * len(row) for row in ids["input_ids"]])
        return [(row, kinds, label) for row, kinds, (_, label) in zip(ids["input_ids"], types, rows)]

    def length(self, example):
        return len(example[0])

    def _logits(self, examples):
        ids, mask = padded([ids for ids, _, _ in examples], self.tokenizer.pad_token_id)
        types, _ = padded([types for _, types, _ in examples], 0)
        return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits

    def loss(self, examples):
        logits, labels = self._logits(examples), torch.tensor([label for _, _, label in examples])
        if self.task == "stsb":
            return torch.nn.functional.mse_loss(logits[:, 0], labels)
        return torch.nn.functional.cross_entropy(logits, labels.long())

    def outputs(self, examples):
        return self._logits(examples).numpy()

    def scores(self, outputs):
        return head_scores(self.task, outputs, numpy.array([label for _, _, label in self.dev]))


class PromptTask:
    """Options behind a prompt; a row is right where the right option's mean log-probability is the largest."""

    def __init__(self, options):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
        prompt, marker, behind = options.prompt.partition("{label}")
        if not marker or behind:
            raise SystemExit(f"--prompt is {options.prompt!r}, expected one that ends with {{label}}")
        self.prompt = prompt.strip()
        train, dev = (self._rows(pathlib.Path(options.data) / f"{part}.tsv") for part in ("train", "dev"))
        self.classes = sorted({label for _, label in train})
        self.train, self.dev = ([self._encode(row) for row in rows] for rows in (train[:options.max_train or None], dev))
        base = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
        self.model, self.trained = adapt(base, options.rank, "tokens")
        self.base = self.model.get_base_model()

    def _rows(self, file):
        header, *lines = [line.split("\t") for line in file.read_text(encoding="utf-8").split("\n") if line]
        return [(line[header.index("text")], line[header.index("label")]) for line in lines]

    def _encode(self, row):
        text, label = row
        prompt = self.prompt.replace("{text}", text)
        asked = len(self.tokenizer(prompt)["input_ids"])
        options = [self.tokenizer(f"{prompt} {name}")["input_ids"] for name in self.classes]
        return [(ids, len(ids) - asked) for ids in options], self.classes.index(label)

    def length(self, example):
        return max(len(ids) for ids, _ in example[0])

    def _option_scores(self, examples):
        """Mean log-probability of each option's tokens, examples x options."""
        options = [option for all_options, _ in examples for option in all_options]
        ids, mask = padded([ids for ids, _ in options], 0)
        hidden = self.base.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        # Logits exist for the tokens before an option's own alone.
        places = [(row, at) for row, (tokens, answer) in enumerate(options)
                  for at in range(len(tokens) - answer, len(tokens))]
        rows, ats = (torch.tensor(column) for column in zip(*places))
        logs = self.base.lm_head(hidden[rows, ats - 1]).log_softmax(-1)
        own = logs.gather(1, ids[rows, ats].unsqueeze(1)).squeeze(1)
        counts = torch.tensor([answer for _, answer in options])
        sums = torch.zeros(len(options)).index_add(0, rows, own)
        return (sums / counts).view(len(examples), len(self.classes))

    def loss(self, examples):
        return torch.nn.functional.cross_entropy(self._option_scores(examples),
                                                 torch.tensor([right for _, right in examples]))

    def outputs(self, examples):
        return self._option_scores(examples).numpy()

    def scores(self, outputs):
        return {"accuracy": (outputs.argmax(1) == numpy.array([right for _, right in self.dev])).mean()}


def evaluate(task, batch):
    """Batches of like lengths, their outputs in the order of the rows."""
    task.model.eval()
    order = sorted(range(len(task.dev)), key=lambda row: task.length(task.dev[row]))
    outputs = [None] * len(order)
    with torch.no_grad():
        for begin in range(0, len(order), batch):
            rows = order[begin : begin + batch]
            for row, output in zip(rows, task.outputs([task.dev[row] for row in rows])):
                outputs[row] = output
    task.model.train()
    return {name: float(score) for name, score in task.scores(numpy.array(outputs)).items()}


def train(task, options):
    """Loss of the last epoch, and the scores after it."""
    optimizer = torch.optim.AdamW(task.trained, lr=options.lr, weight_decay=0)
    size = len(task.train)
    steps = options.epochs * math.ceil(size / options.batch)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, math.ceil(0.06 * steps), steps)
    loss_sum = 0
    for _ in range(options.epochs):
        order = torch.randperm(size).tolist()
        loss_sum = 0
        for begin in range(0, size, options.batch):
            examples = [task.train[row] for row in order[begin : begin + options.batch]]
            optimizer.zero_grad()
            loss = task.loss(examples)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item() * len(examples)
    return loss_sum / size


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["head", "prompt"])
    parser.add_argument("--task", choices=["cola", "stsb", "sst2"], help="of head")
    parser.add_argument("--prompt", help="of prompt: text with {text}, and {label} at its end")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="GLUE's folder, or one with train.tsv and dev.tsv")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--max-train", type=int, default=0)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    start = time.perf_counter()
    task = (HeadTask if options.what == "head" else PromptTask)(options)
    loss = train(task, options) if options.epochs else None
    print(json.dumps({"loss": loss, "scores": evaluate(task, options.batch),
                      "trained": sum(tensor.numel() for tensor in task.trained),
                      "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
