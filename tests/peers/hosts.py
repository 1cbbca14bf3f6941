"""hosts.py RANKFOLD: every golden model's adapters and merges beside transformers and huggingface/peft.

Of each: a LoRA on all weights that PEFT calls linear and an IA3, ours in PEFT and PEFT's here, the
merged folders in transformers, and that of full fine-tuning; of decoders as a classifier and as a causal language model. Prints one line
a case with the largest difference; ends with 1 naming the cases that failed.
"""

import json
import sys
import tempfile
from pathlib import Path

from place import (Failure, Place, golden_places, ia3_config, is_causal, largest_difference, peft,
                   randomise, run_cases, torch, transformers)


def ours_to_peft(place, work):
    """A LoRA of ours on all weights, trained a little; its classifier too."""
    place.expect("finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", "lora", "--targets", "all-linear", "--rank", 2, "--lr", "2e-2",
                 "--epochs", 1, "--batch", 8, "--max-length", 16, "--dropout", 0, "--threads", 1,
                 "--train", "norms", "--out", work / "run")
    adapter = work / "run/adapter"
    ours = place.our_logits(adapter)
    status, error, _ = place.run("export", "--adapter", adapter, "--as", "lora", "--model",
                                 place.model, "--out", work / "lora")
    if status != 0:
        raise Failure(f"export ended with {status}: {error}")
    place.expect("export", "--adapter", adapter, "--as", "lora", "--out", work / "alone")
    return largest_difference(ours, {
        "merge": place.merged_logits(adapter, work / "merged"),
        "peft": place.peft_logits(work / "lora"),
        "peft, exported without the model": place.peft_logits(work / "alone"),
        "the export read back": place.our_logits(work / "lora"),
    })


def peft_to_ours(place, work, **more):
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, lora_alpha=3, target_modules="all-linear",
                             **more)
    model = peft.get_peft_model(place.load(), config)
    randomise(model, 1, 0.2)
    model.save_pretrained(work / "peft")
    expected = place.logits(model)
    return largest_difference(expected, {
        "evaluate": place.our_logits(work / "peft"),
        "merge": place.merged_logits(work / "peft", work / "merged"),
    })


def ia3_to_peft(place, work):
    """Scales of ours, trained a little, as PEFT's IA3."""
    place.expect("finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", "ia3", "--lr", "2e-1", "--epochs", 1, "--batch", 8, "--max-length", 16,
                 "--dropout", 0, "--threads", 1, "--out", work / "run")
    adapter = work / "run/adapter"
    place.expect("export", "--adapter", adapter, "--as", "peft", "--model", place.model, "--out",
                 work / "ia3")
    ours = place.our_logits(adapter)
    return largest_difference(ours, {
        "merge": place.merged_logits(adapter, work / "merged"),
        "peft": place.peft_logits(work / "ia3"),
        "the export read back": place.our_logits(work / "ia3"),
    })


def ia3_to_ours(place, work):
    model = place.load()
    model = peft.get_peft_model(model, ia3_config(model, "SEQ_CLS"))
    randomise(model, 1, 0.5)
    model.save_pretrained(work / "peft")
    place.expect("export", "--adapter", work / "peft", "--as", "native", "--model", place.model,
                 "--out", work / "native")
    place.expect("export", "--adapter", work / "native", "--as", "peft", "--model", place.model,
                 "--out", work / "ia3")
    return largest_difference(place.logits(model), {
        "evaluate": place.our_logits(work / "peft"),
        "merge": place.merged_logits(work / "peft", work / "merged"),
        "native": place.our_logits(work / "native"),
        "back in peft": place.peft_logits(work / "ia3"),
    })


def everything(place, work):
    """All weights, trained a little; the merged folder in transformers."""
    place.expect("finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", "full", "--targets", "everything", "--lr", "1e-3", "--epochs", 1,
                 "--batch", 8, "--max-length", 16, "--dropout", 0, "--threads", 1, "--out",
                 work / "run")
    adapter = work / "run/adapter"
    return largest_difference(place.our_logits(adapter),
                              {"merge": place.merged_logits(adapter, work / "merged")})


def token_logits(place, model):
    """Of every token of the texts."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(place.ids(tokens)).logits[0] for tokens in place.dev]).double()


def language_model(place, work):
    """PEFT's adapter of a causal language model here, its merge in transformers, and back."""
    def load(folder=place.model):
        return transformers.AutoModelForCausalLM.from_pretrained(folder)

    saved = [name.rsplit(".", 1)[-1] for name, _ in load().named_modules()
             if name.lower().endswith("norm") or name.rsplit(".", 1)[-1].startswith("ln_")]
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=3, target_modules="all-linear",
                             modules_to_save=sorted(set(saved)))
    model = peft.get_peft_model(load(), config)
    randomise(model, 1, 0.2)
    model.save_pretrained(work / "peft")
    place.expect("merge", "--model", place.model, "--adapter", work / "peft", "--out", work / "merged")
    place.expect("export", "--adapter", work / "peft", "--as", "native", "--model", place.model,
                 "--out", work / "native")
    place.expect("export", "--adapter", work / "native", "--as", "lora", "--model", place.model,
                 "--out", work / "lora")
    task = json.loads((work / "lora/adapter_config.json").read_text())["task_type"]
    if task != "CAUSAL_LM":
        raise Failure(f"the export's task_type is {task}")
    prompt = place.dev[5]
    with torch.no_grad():
        ids = model.generate(input_ids=place.ids(prompt), max_new_tokens=8, do_sample=False,
                             pad_token_id=0)[0, len(prompt):].tolist()
    for adapter in ("peft", "native"):
        output = place.expect("generate", "--model", place.model, "--adapter", work / adapter,
                              "--prompt", " ".join(f"w{token}" for token in prompt), "--max-new", 8,
                              "--threads", 1, "--json")
        ours = json.loads(output)["ids"]
        ours = ours[-len(ids):]
        if ours != ids:
            raise Failure(f"generate --adapter {adapter} gives {ours}, expected {ids}")
    return largest_difference(token_logits(place, model), {
        "merge": token_logits(place, load(work / "merged")),
        "back in peft": token_logits(place, peft.PeftModel.from_pretrained(load(), work / "lora")),
    })


def main():
    with tempfile.TemporaryDirectory(prefix="rankfold-peers-") as folder:
        cases = {}
        for source, config, place in golden_places(sys.argv[1], folder):
            if is_causal(config):
                cases[f"{source}, language model"] = lambda work, place=place: language_model(place, work)
            cases[f"{source} to peft"] = lambda work, place=place: ours_to_peft(place, work)
            cases[f"peft {source}"] = lambda work, place=place: peft_to_ours(place, work)
            cases[f"{source}, ia3 to peft"] = lambda work, place=place: ia3_to_peft(place, work)
            cases[f"peft ia3, {source}"] = lambda work, place=place: ia3_to_ours(place, work)
            cases[f"{source}, everything"] = lambda work, place=place: everything(place, work)
        # A base without what a classifier has behind its layers.
        for source in ("roberta", "bert", "deberta-v2"):
            place = Place(sys.argv[1], Path(folder) / f"{source}-base", source, keep=lambda name: not
                          name.startswith(("classifier.", "pooler.", "bert.pooler.")))
            cases[f"{source} without a head to peft"] = lambda work, place=place: ours_to_peft(place, work)
        failed = run_cases(cases, Path(folder))
    if failed:
        sys.exit(f"hosts: failed: {', '.join(failed)}")


main()
