"""round_trip.py RANKFOLD: adapters from rankfold to huggingface/peft and back, by their logits.

Prints one line a case with the largest difference; ends with 1 naming the cases that failed.
"""

import json
import sys
import tempfile
from pathlib import Path

from place import Failure, Place, largest_difference, peft, randomise, run_cases, torch

targets = ["query", "value"]


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
        if "trained bias" in error:  # which a LoRA cannot hold, and a model can
            return largest_difference(place.our_logits(adapter),
                                      {"merge": place.merged_logits(adapter, work / "merged")})
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
        "LORA of an expression": peft.LoraConfig(
            task_type="SEQ_CLS", r=2, lora_alpha=3,
            target_modules=r".*\.(query|key|value|attention\.output\.dense|intermediate\.dense"
                           r"|\d+\.output\.dense)"),
        "LORA all-linear": peft.LoraConfig(
            task_type="SEQ_CLS", r=2, lora_alpha=3, target_modules="all-linear"),
        "LORA all-linear, dora": peft.LoraConfig(
            task_type="SEQ_CLS", r=2, lora_alpha=3, target_modules="all-linear", use_dora=True),
        "LORA saved norms": peft.LoraConfig(**lora, modules_to_save=["LayerNorm"]),
        "LORA saved pooler and embeddings": peft.LoraConfig(
            **lora, modules_to_save=["pooler", "word_embeddings", "bert.embeddings.LayerNorm"]),
        "LOHA": peft.LoHaConfig(**head, r=3, alpha=5),
        "LOKR": peft.LoKrConfig(**head, r=2, alpha=4),
        "LOKR decompose_both": peft.LoKrConfig(**head, r=1, alpha=4, decompose_both=True),
        "LOKR decompose_factor": peft.LoKrConfig(**head, r=2, alpha=4, decompose_factor=4),
        "VERA": peft.VeraConfig(**head, r=16, save_projection=True),
        "HIRA": peft.HiraConfig(**head, r=4),
        # At PEFT's own alpha, 640, its float32 logits are 5e-5 from its double ones.
        "RANDLORA": peft.RandLoraConfig(**head, r=4, randlora_alpha=4, save_projection=True),
        "FOURIERFT": peft.FourierFTConfig(**head, n_frequency=50, scaling=20.0),
        "IA3": peft.IA3Config(
            task_type="SEQ_CLS", target_modules=["key", "value", r"intermediate.dense"],
            feedforward_modules=["intermediate.dense"]),
        "IA3 of an expression": peft.IA3Config(
            task_type="SEQ_CLS", target_modules=r".*(key|value|layer\.\d+\.output\.dense)",
            feedforward_modules=r".*layer\.\d+\.output\.dense"),
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
    found = {
        "evaluate": place.our_logits(adapter),
        "merge": place.merged_logits(adapter, work / "merged"),
        "native": place.our_logits(work / "native"),
    }
    status, error, _ = place.run("export", "--adapter", work / "native", "--as", "lora", "--model",
                                 place.model, "--out", work / "lora")
    if status == 0:
        found["back in peft"] = place.peft_logits(work / "lora")
    elif "trained bias" not in error:
        raise Failure(f"export ended with {status}: {error}")
    return largest_difference(expected, found)


def main():
    with tempfile.TemporaryDirectory(prefix="rankfold-peers-") as folder:
        place = Place(sys.argv[1], Path(folder) / "bert")
        cases = {}
        for method in json.loads(place.expect("methods", "--json"))["methods"]:
            cases[f"{method['name']} to peft"] = (
                lambda work, method=method: ours_to_peft(place, method, work))
        configs = peft_cases()
        of_tokens = {"PROMPT_TUNING", "PREFIX_TUNING"}  # tokens.py has their cases
        for seed, (name, config) in enumerate(configs.items()):
            cases[f"peft {name}"] = (
                lambda work, config=config, seed=seed: peft_to_ours(place, config, work, seed))

        def covers(work):
            types, tried = imported_types(place, work), {name.split()[0] for name in configs} | of_tokens
            if types != tried:
                raise Failure(f"no case for {sorted(types ^ tried)}")
            return 0.0

        cases["every imported peft_type has a case"] = covers
        failed = run_cases(cases, Path(folder))
    if failed:
        sys.exit(f"round_trip: failed: {', '.join(failed)}")


main()
