"""training.py RANKFOLD: twelve steps of full fine-tuning and of IA3 on every golden model, beside transformers and PEFT.

Each case trains a golden model on the batch of its io.safetensors in torch, leaves the losses and
gradient norms beside the model, and lets `rankfold check training` follow them. Prints one line a
case with the largest relative difference; ends with 1 naming the cases that failed.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from place import Failure, Place, golden, ia3_config, is_causal, peft, run_cases, torch, transformers
from safetensors.torch import load_file, save_file

limit = 1e-5
steps, warmup = 12, 3


def load(source):
    config = json.loads((golden / source / "config.json").read_text())
    causal = is_causal(config)
    kind = (transformers.AutoModelForCausalLM if causal
            else transformers.AutoModelForSequenceClassification)
    return kind.from_pretrained(golden / source), "CAUSAL_LM" if causal else "SEQ_CLS"


def train(model, io, rate):
    """Losses before the steps and gradient norms, without dropout, as `check training` trains."""
    inputs = {name: io[name] for name in ("input_ids", "attention_mask", "token_type_ids", "labels")
              if name in io}
    model.eval()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    losses, norms = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(weights, 1.0).item())
        optimizer.step()
        schedule.step()
    return losses, norms


def follow(place, work, source, rate, losses, norms, start=None):
    shutil.copytree(golden / source, work, ignore=shutil.ignore_patterns("trace.*"), dirs_exist_ok=True)
    trace = {"losses": losses, "gradient_norms": norms, "learning_rate": rate}
    (work / "trace.json").write_text(json.dumps(trace))
    if start is not None:
        save_file(start, work / "trace.safetensors")
    if not losses[-1] < 0.995 * losses[1]:
        raise Failure(f"torch's loss goes from {losses[1]:.4f} to {losses[-1]:.4f}: nothing is learnt")
    # The norms of gradients are as near as what training leaves of small ones.
    report = json.loads(place.expect("check", "training", work, "--tolerance", 10 * limit, "--json"))
    worst = max(abs(ours / loss - 1) for ours, loss in zip(report["losses"], losses, strict=True))
    if not worst <= limit:
        raise Failure(f"losses differ by {worst:.2e}, expected {limit:.0e} at most")
    return f"{worst:.1e}, with norms of gradients {report['worst']:.1e}"


def full(place, work, source, rate=2e-4):
    """All weights of the network and its head."""
    model, _ = load(source)
    io = load_file(golden / source / "io.safetensors")
    return follow(place, work, source, rate, *train(model, io, rate))


def module_name(name):
    """As the checkpoint has it, of a parameter of a PeftModel."""
    for part in ("base_model.model.", ".default", ".modules_to_save"):
        name = name.replace(part, "")
    return name


def ia3(place, work, source, rate=5e-3):
    """Scales of outputs and inputs, and the head, from starts of their own."""
    model, task = load(source)
    model = peft.get_peft_model(model, ia3_config(model, task))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "ia3_l" in name:
                weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    start = {module_name(name): weight.detach().clone().contiguous()
             for name, weight in model.named_parameters() if weight.requires_grad}
    io = load_file(golden / source / "io.safetensors")
    return follow(place, work, source, rate, *train(model, io, rate), start)


def main():
    with tempfile.TemporaryDirectory(prefix="rankfold-peers-") as folder:
        cases = {}
        for source in sorted(path.parent.name for path in golden.glob("*/io.safetensors")):
            place = Place(sys.argv[1], Path(folder) / source, source)
            cases[f"{source}, full"] = lambda work, p=place, s=source: full(p, work, s)
            cases[f"{source}, ia3"] = lambda work, p=place, s=source: ia3(p, work, s)
        failed = run_cases(cases, Path(folder))
    if failed:
        sys.exit(f"training: failed: {', '.join(failed)}")


main()
