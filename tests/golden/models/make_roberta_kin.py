"""Makes xlm-roberta and camembert beside this file: tiny models with random weights.

    PYTHON make_roberta_kin.py DIR

PYTHON has torch, transformers and PEFT (benchmarks/compare-requirements.txt); DIR is the folder of this file, or another.
Seeds: models 402 and 403, batches 1402 and 1403, adapters 1.
"""

import json
import pathlib
import sys

import torch
from golden_folder import add_noise, padded, reference, save_model, save_tensors, trace
from transformers import (
    CamembertConfig,
    CamembertForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

LENGTHS = (9, 5, 7, 2)
TARGETS = ["query", "value"]
KINDS = {
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaForSequenceClassification),
    "camembert": (CamembertConfig, CamembertForSequenceClassification),
}


def make_model(name, folder, seed):
    torch.manual_seed(seed)
    config = json.loads((folder.parent / "roberta/config.json").read_text())
    for key in ("model_type", "architectures"):
        del config[key]
    make_config, kind = KINDS[name]
    model = kind(make_config(**config)).to(torch.float32).eval()
    add_noise(model, lambda tensor: "LayerNorm." in tensor or tensor.endswith(".bias"))
    return model


def main(out):
    for seed, name in enumerate(KINDS, start=402):
        folder = out / name
        torch.manual_seed(seed + 1000)
        ids, mask = padded(torch.randint(2, 101, (len(LENGTHS), max(LENGTHS))), LENGTHS)
        ids = ids.masked_fill(mask == 0, 1)
        batch = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 1, 0])}
        save_model(make_model(name, folder, seed), folder)
        names = [*TARGETS, "classifier.dense", "classifier.out_proj"]
        save_tensors(batch | reference(make_model(name, folder, seed), batch, names), folder)
        print(name, trace(make_model(name, folder, seed), batch, folder, TARGETS, task_type="SEQ_CLS"))


main(pathlib.Path(sys.argv[1]))
