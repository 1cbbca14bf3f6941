"""fused.py RANKFOLD: adapters of a fused weight (GPT-2's c_attn, DeBERTa's in_proj) and the real PEFT, by their logits.

Prints one line a case with the largest difference; ends with 1 where one is above the tolerance.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
warnings.simplefilter("ignore")
torch.set_num_threads(1)

tolerance = 2e-5
golden = Path(__file__).resolve().parent.parent / "golden/models"
fused = {"gpt2-classifier": "c_attn", "gpt2": "c_attn", "deberta": "in_proj"}


def run(*words):
    done = subprocess.run([sys.argv[1], *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"rankfold {words[0]} ended with {done.returncode}: {done.stderr.strip()}")


class Place:
    """A golden model with a vocabulary of words, and a few rows for CoLA."""

    def __init__(self, name, folder):
        self.tells_tokens = name == "gpt2"
        self.model, self.data = folder / "model", folder / "data"
        shutil.copytree(golden / name, self.model)
        self.data.mkdir()
        words = json.loads((self.model / "config.json").read_text())["vocab_size"]
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, words)]
        (self.model / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
        (self.model / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
        rows = [[5 + (7 * row + 3 * word) % (words - 5) for word in range(3 + row % 4)]
                for row in range(24)]
        text = "".join(f"s\t{row % 2}\t\t{' '.join(f'w{word}' for word in words)}\n"
                       for row, words in enumerate(rows))
        for file in ("train.tsv", "dev.tsv"):
            (self.data / file).write_text(text)
        self.inputs = [torch.tensor([[2, *words, 3]]) for words in rows]

    def load(self, folder=None, **more):
        kind = (transformers.AutoModelForCausalLM if self.tells_tokens
                else transformers.AutoModelForSequenceClassification)
        return kind.from_pretrained(folder or self.model, **more)

    def logits(self, model):
        model.eval()
        with torch.no_grad():
            return torch.cat([model(ids).logits.flatten(0, -2) for ids in self.inputs]).double()

    def merged(self, adapter, out):
        run("merge", "--model", self.model, "--adapter", adapter, "--out", out)
        return self.logits(self.load(out))

    def in_peft(self, adapter, **more):
        return self.logits(peft.PeftModel.from_pretrained(self.load(**more), str(adapter)))

    def finetune(self, targets, out):
        run("finetune", "--model", self.model, "--data", self.data, "--task", "cola", "--method", "lora",
            "--rank", 2, "--targets", targets, "--lr", "2e-2", "--epochs", 2, "--batch", 8, "--max-length",
            16, "--threads", 1, "--out", out)
        return out / "adapter"


def from_peft(place, module, work, **more):
    """An adapter that PEFT made: merged here, and exported back to PEFT."""
    task = "CAUSAL_LM" if place.tells_tokens else "SEQ_CLS"
    config = peft.LoraConfig(task_type=task, r=3, lora_alpha=6, target_modules=[module], **more)
    model = peft.get_peft_model(place.load(), config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    model.save_pretrained(work / "peft")
    run("export", "--adapter", work / "peft", "--as", "lora", "--model", place.model, "--out", work / "back")
    return place.logits(model), [place.merged(work / "peft", work / "merged"),
                                 place.in_peft(work / "back")]


def to_peft(place, targets, work):
    """An adapter trained here: merged, and as a LoRA of the whole."""
    adapter = place.finetune(targets, work / "run")
    run("export", "--adapter", adapter, "--as", "lora", "--model", place.model, "--out", work / "lora")
    # CoLA has two classes.
    return place.merged(adapter, work / "merged"), [
        place.in_peft(work / "lora", num_labels=2, ignore_mismatched_sizes=True)]


def main():
    failed = []
    for name, module in fused.items():
        cases = {f"PEFT's {module}": lambda place, work: from_peft(place, module, work),
                 f"PEFT's {module}, dora": lambda place, work: from_peft(place, module, work, use_dora=True)}
        for targets in () if name == "gpt2" else ("in_proj", "q,v", "k"):
            cases[f"our {targets}"] = lambda place, work, targets=targets: to_peft(place, targets, work)
        for case, compute in cases.items():
            with tempfile.TemporaryDirectory(prefix="rankfold-fused-") as folder:
                work = Path(folder)
                place = Place(name, work)
                try:
                    expected, others = compute(place, work)
                    plain = place.logits(place.load())
                    if plain.shape == expected.shape and torch.equal(expected, plain):
                        raise RuntimeError("the adapter changes nothing")
                    worst = max(((other - expected).abs().max() / expected.abs().max().clamp(min=1)).item()
                                for other in others)
                    print(f"{name}, {case}: {worst:.1e}", flush=True)
                    if not worst <= tolerance:
                        failed.append(f"{name}, {case}")
                except Exception as failure:  # a case that fails must not hide the next
                    print(f"{name}, {case}: FAILED: {type(failure).__name__}: {failure}", flush=True)
                    failed.append(f"{name}, {case}")
    if failed:
        sys.exit(f"fused: failed: {'; '.join(failed)}")


main()
