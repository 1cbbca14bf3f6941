"""Makes answers.json beside this file: how transformers scores answers, and both losses over them.

    PYTHON make_answers.py MODELS > answers.json

PYTHON has torch and transformers (benchmarks/compare-requirements.txt); MODELS is ../models. Of each model: the mean
log-probability of each option's tokens behind its prompt, the cross-entropy over those means ("options"), the
cross-entropy of the right options' tokens ("tokens"), and the gradients of all norms' weights of either.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM

MODELS = ("llama", "mistral", "gpt2", "qwen3", "starcoder2")
QUESTIONS = [
    {"prompt": [2, 17, 45, 9, 31, 7, 22, 58, 11, 40, 6], "options": [[12], [33, 8, 5]], "gold": 1},
    {"prompt": [2, 60], "options": [[4, 9], [50], [7, 7, 7, 1]], "gold": 0},
]


def token_scores(model, prompt, option):
    ids = torch.tensor([prompt + option])
    logits = model(ids).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(option)[:, None])[:, 0]


def losses(model):
    scores, over_options, tokens = [], [], []
    for question in QUESTIONS:
        found = [token_scores(model, question["prompt"], option) for option in question["options"]]
        means = torch.stack([part.mean() for part in found])
        scores += means.tolist()
        over_options.append(-torch.log_softmax(means, -1)[question["gold"]])
        tokens.append(found[question["gold"]])
    return scores, torch.stack(over_options).mean(), -torch.cat(tokens).mean()


def gradients(model, loss):
    norms = {name: tensor for name, tensor in model.named_parameters() if "norm" in name or "ln_" in name}
    for name in list(norms):
        if name.endswith("bias"):
            del norms[name]
    values = torch.autograd.grad(loss, list(norms.values()), retain_graph=True)
    return {name: value.tolist() for name, value in zip(norms, values)}


def main(models):
    result = {"questions": QUESTIONS, "models": {}}
    for name in MODELS:
        model = AutoModelForCausalLM.from_pretrained(models / name, attn_implementation="eager").double().eval()
        scores, over_options, tokens = losses(model)
        result["models"][name] = {
            "scores": scores,
            "options": {"loss": over_options.item(), "gradients": gradients(model, over_options)},
            "tokens": {"loss": tokens.item(), "gradients": gradients(model, tokens)},
        }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
