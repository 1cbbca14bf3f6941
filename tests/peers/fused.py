"""fused.py RANKFOLD: adapters of a fused weight (GPT-2's c_attn, DeBERTa's in_proj) and the real PEFT, by their logits.

Prints one line a case with the largest difference; ends with 1 naming the cases that failed.
"""

import sys
import tempfile
from pathlib import Path

from place import (Failure, Place, largest_difference, peft, randomise, run_cases, torch,
                   transformers)

fused = {"gpt2-classifier": "c_attn", "gpt2": "c_attn", "deberta": "in_proj"}


class TokenPlace(Place):
    """Of a causal language model."""

    def load(self, folder=None):
        return transformers.AutoModelForCausalLM.from_pretrained(folder or self.model)

    def logits(self, model):
        model.eval()
        with torch.no_grad():
            return torch.cat([model(self.ids(tokens)).logits[0] for tokens in self.dev]).double()


def from_peft(place, module, work, **more):
    """An adapter that PEFT made: merged here, and exported back to PEFT."""
    task = "CAUSAL_LM" if isinstance(place, TokenPlace) else "SEQ_CLS"
    config = peft.LoraConfig(task_type=task, r=3, lora_alpha=6, target_modules=[module], **more)
    model = peft.get_peft_model(place.load(), config)
    randomise(model, 1, 0.2)
    model.save_pretrained(work / "peft")
    expected = place.logits(model)
    if torch.equal(expected, place.logits(place.load())):
        raise Failure("the adapter changes nothing")
    place.expect("export", "--adapter", work / "peft", "--as", "lora", "--model", place.model,
                 "--out", work / "back")
    return largest_difference(expected, {
        "merge": place.merged_logits(work / "peft", work / "merged"),
        "back in peft": place.peft_logits(work / "back"),
    })


def to_peft(place, targets, work):
    """An adapter trained here: merged, and as a LoRA of the whole."""
    place.expect("finetune", "--model", place.model, "--data", place.data, "--task", "cola",
                 "--method", "lora", "--rank", 2, "--targets", targets, "--lr", "2e-2", "--epochs",
                 2, "--batch", 8, "--max-length", 16, "--threads", 1, "--out", work / "run")
    adapter = work / "run/adapter"
    place.expect("export", "--adapter", adapter, "--as", "lora", "--model", place.model, "--out",
                 work / "lora")
    return largest_difference(place.merged_logits(adapter, work / "merged"),
                              {"peft": place.peft_logits(work / "lora")})


def main():
    with tempfile.TemporaryDirectory(prefix="rankfold-fused-") as folder:
        cases = {}
        for name, module in fused.items():
            around = ((2,), (3,)) if name == "deberta" else ((), ())
            kind = TokenPlace if name == "gpt2" else Place
            place = kind(sys.argv[1], Path(folder) / name, name, *around)
            for case, more in {"": {}, ", dora": {"use_dora": True}}.items():
                cases[f"{name}, PEFT's {module}{case}"] = (
                    lambda work, place=place, module=module, more=more:
                    from_peft(place, module, work, **more))
            for targets in () if name == "gpt2" else ("in_proj", "q,v", "k"):
                cases[f"{name}, our {targets}"] = (
                    lambda work, place=place, targets=targets: to_peft(place, targets, work))
        failed = run_cases(cases, Path(folder))
    if failed:
        sys.exit(f"fused: failed: {'; '.join(failed)}")


main()
