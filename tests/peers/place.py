"""What the programs of this folder share: a tiny model with words, a small CoLA, and rankfold."""

import json
import os
import shutil
import subprocess
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
warnings.simplefilter("ignore", FutureWarning)
torch.set_num_threads(1)

tolerance = 1e-5
golden = Path(__file__).resolve().parent.parent / "golden/models"


class Failure(Exception):
    pass


def sentences(rows, words):
    """Of words from w5 on; the token of a word is its number, below `words`."""
    return [[5 + (row * 37 + word * (7 + row)) % (words - 5) for word in range(1 + row % 9)]
            for row in range(rows)]


def word_tokenizer(before, after, words):
    """A tokenizer.json of the words, with these tokens around every text."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    vocabulary |= {f"w{word}": word for word in range(5, words)}
    name = {number: token for token, number in vocabulary.items()}

    def special(ids):
        return [{"SpecialToken": {"id": name[number], "type_id": 0}} for number in ids]

    text = [{"Sequence": {"id": "A", "type_id": 0}}]
    used = sorted(set(before + after))
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing", "single": special(before) + text + special(after),
            "pair": special(before) + text + [{"Sequence": {"id": "B", "type_id": 0}}] + special(after),
            "special_tokens": {name[number]: {"id": name[number], "ids": [number],
                                              "tokens": [name[number]]} for number in used}},
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }


class Place:
    """A tiny model, a small CoLA, and rankfold. `before` and `after` are the tokens around a text."""

    def __init__(self, rankfold, folder, source="bert", before=(2,), after=(3,), keep=lambda name: True):
        self.rankfold = rankfold
        self.folder = folder
        self.before, self.after = list(before), list(after)
        self.model = folder / "model"
        self.data = folder / "data"
        self.model.mkdir(parents=True)
        self.data.mkdir()
        shutil.copyfile(golden / source / "config.json", self.model / "config.json")
        self.copy_weights(golden / source / "model.safetensors", keep)
        words = min(101, json.loads((self.model / "config.json").read_text())["vocab_size"])
        (self.model / "tokenizer.json").write_text(
            json.dumps(word_tokenizer(self.before, self.after, words)))
        (self.model / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}))
        for name, rows in (("train.tsv", 40), ("dev.tsv", 17)):
            lines = [f"s\t{1 - tokens[0] % 2}\t\t{' '.join(f'w{token}' for token in tokens)}\n"
                     for tokens in sentences(rows, words)]
            (self.data / name).write_text("".join(lines))
        self.dev = sentences(17, words)

    def copy_weights(self, file, keep):
        """Those tensors of a checkpoint whose names are to be kept."""
        from safetensors.torch import load_file, save_file
        tensors = {name: tensor for name, tensor in load_file(file).items() if keep(name)}
        save_file(tensors, self.model / "model.safetensors", {"format": "pt"})

    def run(self, *arguments):
        """Status, standard error and standard output of rankfold."""
        done = subprocess.run([self.rankfold, *map(str, arguments)], capture_output=True, text=True)
        return done.returncode, done.stderr.strip(), done.stdout

    def expect(self, *arguments):
        status, error, output = self.run(*arguments)
        if status != 0:
            raise Failure(f"rankfold {arguments[0]} ended with {status}: {error}")
        return output

    def our_logits(self, adapter):
        file = self.folder / "predictions.tsv"
        self.expect("evaluate", "--model", self.model, "--adapter", adapter, "--task", "cola",
                    "--data", self.data, "--predictions", file, "--max-length", 16, "--threads", 1)
        header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
        places = [i for i, name in enumerate(header) if name.startswith("logit")]
        rows.sort(key=lambda row: int(row[0]))
        return torch.tensor([[float(row[i]) for i in places] for row in rows], dtype=torch.float64)

    def ids(self, tokens):
        return torch.tensor([[*self.before, *tokens, *self.after]])

    def logits(self, model):
        """Of a model of transformers, maybe with PEFT's adapter."""
        model.eval()
        with torch.no_grad():
            return torch.cat([model(self.ids(tokens)).logits
                              for tokens in self.dev]).double()

    def load(self, folder=None):
        """A merged folder as its config.json has it, or the model with a head of two labels."""
        make = transformers.AutoModelForSequenceClassification.from_pretrained
        return make(folder) if folder else make(self.model, num_labels=2,
                                                ignore_mismatched_sizes=True)

    def peft_logits(self, adapter):
        return self.logits(peft.PeftModel.from_pretrained(self.load(), str(adapter)))

    def merged_logits(self, adapter, out):
        self.expect("merge", "--model", self.model, "--adapter", adapter, "--out", out)
        return self.logits(self.load(out))


# What IA3 scales the outputs of, and the inputs; DeBERTa's in_proj and GPT-2's c_attn hold q too.
ia3_outputs = (".key", ".value", ".key_proj", ".value_proj", ".k_proj", ".v_proj", ".c_attn", ".in_proj")
ia3_inputs = (".output.dense", ".fc2", ".down_proj", ".ffn_output", ".mlp.c_proj")


def golden_places(rankfold, folder):
    """Every golden model that rankfold trains, by name: its config.json and a place of its own below the folder."""
    for source in sorted(path.parent.name for path in golden.glob("*/model.safetensors")):
        config = json.loads((golden / source / "config.json").read_text())
        around = ((2,), (3,)) if "type_vocab_size" in config else ((), ())
        yield source, config, Place(rankfold, Path(folder) / source, source, *around)


def is_causal(config):
    return config["architectures"][0].endswith(("ForCausalLM", "LMHeadModel"))


def ia3_config(model, task):
    modules = [name for name, _ in model.named_modules()]
    inputs = [name for name in modules
              if name.endswith(ia3_inputs) and not name.endswith(".attention.output.dense")]
    return peft.IA3Config(task_type=task, feedforward_modules=inputs, target_modules=inputs + [
        name for name in modules if name.endswith(ia3_outputs)])


def randomise(model, seed, size=0.3):
    """Every trained tensor, the head too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.requires_grad:
                continue
            noise = torch.randn(weight.shape, generator=generator)
            if "magnitude" in name:
                weight.mul_(1 + 0.2 * noise)
            else:
                weight.copy_(size * noise)


def largest_difference(expected, others):
    """Of all the others, each by name, from what is expected; relative where that exceeds 1."""
    largest = 0.0
    for name, found in others.items():
        if found.shape != expected.shape:
            raise Failure(f"{name}: logits of shape {list(found.shape)}, "
                          f"expected {list(expected.shape)}")
        difference = ((found - expected).abs().max() / expected.abs().max().clamp(min=1)).item()
        if not difference <= tolerance:
            raise Failure(f"{name}: logits differ by {difference:.2e}, "
                          f"expected {tolerance:.0e} at most")
        largest = max(largest, difference)
    return largest


def run_cases(cases, folder):
    """Prints a line a case, each run with a folder of its own; the names of those that failed."""
    failed = []
    for number, (name, case) in enumerate(cases.items()):
        work = folder / str(number)
        try:
            result = case(work)
            print(f"{name}: {result if isinstance(result, str) else f'{result:.1e}'}", flush=True)
        except Exception as failure:  # a case that fails must not hide the next
            print(f"{name}: FAILED: {type(failure).__name__}: {failure}", flush=True)
            failed.append(name)
        shutil.rmtree(work, ignore_errors=True)
    return failed
