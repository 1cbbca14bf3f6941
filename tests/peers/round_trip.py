"""round_trip.py RANKFOLD: adapters from rankfold to huggingface/peft and back, by their logits.

Prints one line a case with the largest difference; ends with 1 naming the cases that failed.
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
warnings.simplefilter("ignore", FutureWarning)
torch.set_num_threads(1)

tolerance = 1e-5
golden = Path(__file__).resolve().parent.parent / "golden/models/bert"
words = 101
targets = ["query", "value"]


class Failure(Exception):
    pass


def sentences(rows):
    """Of words w5 to w100; the token of a word is its number."""
    return [[5 + (row * 37 + word * (7 + row)) % 96 for word in range(1 + row % 9)]
            for row in range(rows)]


class Place:
    """A tiny BERT, a small CoLA, and rankfold."""

    def __init__(self, rankfold, folder):
        self.rankfold = rankfold
        self.folder = folder
        self.model = folder / "model"
        self.data = folder / "data"
        self.model.mkdir()
        self.data.mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(golden / name, self.model / name)
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        vocabulary += [f"w{word}" for word in range(5, words)]
        (self.model / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
        for name, rows in (("train.tsv", 40), ("dev.tsv", 17)):
            lines = [f"s\t{1 - tokens[0] % 2}\t\t{' '.join(f'w{token}' for token in tokens)}\n"
                     for tokens in sentences(rows)]
            (self.data / name).write_text("".join(lines))
        self.dev = sentences(17)

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
        first = min(i for i, name in enumerate(header) if name.startswith("logit"))
        rows.sort(key=lambda row: int(row[0]))
        return torch.tensor([[float(x) for cell in row[first:] for x in cell.split()]
                             for row in rows], dtype=torch.float64)

    def logits(self, model):
        """Of a model of transformers, maybe with PEFT's adapter."""
        model.eval()
        with torch.no_grad():
            return torch.cat([model(torch.tensor([[2, *tokens, 3]])).logits
                              for tokens in self.dev]).double()

    def load(self, folder=None):
        return transformers.AutoModelForSequenceClassification.from_pretrained(folder or self.model)

    def peft_logits(self, adapter):
        return self.logits(peft.PeftModel.from_pretrained(self.load(), str(adapter)))

    def merged_logits(self, adapter, out):
        self.expect("merge", "--model", self.model, "--adapter", adapter, "--out", out)
        return self.logits(self.load(out))


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


def ours_to_peft(place, method, work):
    """One of the registry's methods, trained a little, in PEFT; or refused there as in merge."""
    arguments = ["finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", method["name"], "--lr", "2e-2", "--epochs", 2, "--batch", 8,
                 "--max-length", 16, "--dropout", 0, "--threads", 1, "--out", work / "run"]
    if method["rank"]:
        arguments += ["--rank", 2]
    place.expect(*arguments)
    adapter = work / "run/adapter"
    status, error, _ = place.run("export", "--adapter", adapter, "--as", "lora", "--model",
                                 place.model, "--out", work / "lora")
    if status != 0:
        merge_status, merge_error, _ = place.run("merge", "--model", place.model, "--adapter",
                                                 adapter, "--out", work / "merged")
        if status != 1 or len(error.splitlines()) != 1 or (work / "lora").exists():
            raise Failure(f"export ended with {status}: {error}")
        if merge_status != 1:
            raise Failure(f"export refuses ({error}), but merge ended with {merge_status}")
        return f"refused: {error.removeprefix('rankfold: ')}"
    ours = place.our_logits(adapter)
    loaded = peft.PeftModel.from_pretrained(place.load(), str(work / "lora"))
    if method["name"] != "none":  # which trains the head alone
        if not any(module.get_delta_weight("default").abs().max() > 1e-4
                   for module in loaded.modules() if hasattr(module, "get_delta_weight")):
            raise Failure("the exported update is zero")
    return largest_difference(ours, {
        "peft": place.logits(loaded),
        "merge": place.merged_logits(adapter, work / "merged"),
        "the export read back": place.our_logits(work / "lora"),
    })


def peft_cases():
    """Configurations by name, of every type that rankfold reads."""
    head = {"task_type": "SEQ_CLS", "target_modules": targets}
    lora = {**head, "r": 4, "lora_alpha": 8}
    return {
        "LORA": peft.LoraConfig(**lora),
        "LORA use_dora": peft.LoraConfig(**lora, use_dora=True),
        "LORA use_rslora": peft.LoraConfig(**lora, use_rslora=True),
        "LORA rank_pattern": peft.LoraConfig(**lora, rank_pattern={"layer.0.attention.self.query": 2}),
        "LORA alpha_pattern": peft.LoraConfig(
            **lora, alpha_pattern={r"layer\.1\..*value": 6, "query": 5}),
        "LORA both patterns, dora": peft.LoraConfig(
            **lora, use_dora=True, rank_pattern={"value": 3}, alpha_pattern={"value": 4}),
        "LORA without a head": peft.LoraConfig(target_modules=targets, r=4, lora_alpha=8),
        "LORA modules_to_save": peft.LoraConfig(
            target_modules=targets, r=4, lora_alpha=8, modules_to_save=["classifier"]),
        "LORA all-linear": peft.LoraConfig(
            task_type="SEQ_CLS", r=2, lora_alpha=3,
            target_modules=r".*\.(query|key|value|attention\.output\.dense|intermediate\.dense"
                           r"|\d+\.output\.dense)"),
        "LOHA": peft.LoHaConfig(**head, r=3, alpha=5),
        "LOKR": peft.LoKrConfig(**head, r=2, alpha=4),
        "LOKR decompose_both": peft.LoKrConfig(**head, r=1, alpha=4, decompose_both=True),
        "LOKR decompose_factor": peft.LoKrConfig(**head, r=2, alpha=4, decompose_factor=4),
        "VERA": peft.VeraConfig(**head, r=16, save_projection=True),
        "HIRA": peft.HiraConfig(**head, r=4),
        # At PEFT's own alpha, 640, its float32 logits are 5e-5 from its double ones.
        "RANDLORA": peft.RandLoraConfig(**head, r=4, randlora_alpha=4, save_projection=True),
        "FOURIERFT": peft.FourierFTConfig(**head, n_frequency=50, scaling=20.0),
    }


def imported_types(place, work):
    """The types that rankfold names when it is shown another."""
    work.mkdir()
    (work / "adapter_config.json").write_text('{"peft_type": "OTHER"}')
    _, error, _ = place.run("export", "--adapter", work, "--as", "native", "--model", place.model,
                            "--out", work / "out")
    marker = "expected one of "
    if marker not in error:
        raise Failure(f"a folder of another peft_type: {error}")
    return set(error[error.index(marker) + len(marker):].split(", "))


def randomise(model, seed):
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
                weight.copy_(0.3 * noise)


def peft_to_ours(place, config, work, seed):
    model = peft.get_peft_model(place.load(), config)
    randomise(model, seed)
    model.save_pretrained(work / "peft")
    expected = place.logits(model)
    if torch.equal(expected, place.logits(place.load())):
        raise Failure("the adapter changes nothing")
    adapter = work / "peft"
    place.expect("export", "--adapter", adapter, "--as", "native", "--model", place.model, "--out",
                 work / "native")
    place.expect("export", "--adapter", work / "native", "--as", "lora", "--model", place.model,
                 "--out", work / "lora")
    return largest_difference(expected, {
        "evaluate": place.our_logits(adapter),
        "merge": place.merged_logits(adapter, work / "merged"),
        "native": place.our_logits(work / "native"),
        "back in peft": place.peft_logits(work / "lora"),
    })


def main():
    failed = []
    with tempfile.TemporaryDirectory(prefix="rankfold-peers-") as folder:
        place = Place(sys.argv[1], Path(folder))
        cases = {}
        for method in json.loads(place.expect("methods", "--json"))["methods"]:
            cases[f"{method['name']} to peft"] = (
                lambda work, method=method: ours_to_peft(place, method, work))
        configs = peft_cases()
        for seed, (name, config) in enumerate(configs.items()):
            cases[f"peft {name}"] = (
                lambda work, config=config, seed=seed: peft_to_ours(place, config, work, seed))

        def covers(work):
            types, tried = imported_types(place, work), {name.split()[0] for name in configs}
            if types != tried:
                raise Failure(f"no case for {sorted(types ^ tried)}")
            return 0.0

        cases["every imported peft_type has a case"] = covers
        for number, (name, case) in enumerate(cases.items()):
            work = Path(folder) / str(number)
            try:
                result = case(work)
                print(f"{name}: {result if isinstance(result, str) else f'{result:.1e}'}", flush=True)
            except Exception as failure:  # a case that fails must not hide the next
                print(f"{name}: FAILED: {type(failure).__name__}: {failure}", flush=True)
                failed.append(name)
            shutil.rmtree(work, ignore_errors=True)
    if failed:
        sys.exit(f"round_trip: failed: {', '.join(failed)}")


main()
