"""Makes deberta-v2-apart beside this file: a tiny DeBERTa-v2 whose positions have projections of their own.

    PYTHON make_deberta.py DIR

PYTHON has torch, transformers and PEFT (benchmarks/compare-requirements.txt); DIR is the folder of this file, or another.
Adapters are on every linear layer. Seeds: model 300, batch 1300, adapters 1.
"""

import json
import pathlib
import sys

import torch
from golden_folder import add_noise, padded, reference, save_model, save_tensors, trace
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

LENGTHS = (9, 5, 7, 2)
POSITIONS = ["pos_key_proj", "pos_query_proj"]
TARGETS = [*POSITIONS, "query_proj", "key_proj", "value_proj", "dense"]


def make_model(folder):
    torch.manual_seed(300)
    config = json.loads((folder.parent / "deberta-v2/config.json").read_text())
    config |= {"share_att_key": False, "num_labels": 2}
    model = DebertaV2ForSequenceClassification(DebertaV2Config(**config)).to(torch.float32).eval()
    add_noise(model, lambda name: "LayerNorm." in name or name.endswith(".bias"))
    return model


def main(out):
    torch.manual_seed(1300)
    ids, mask = padded(torch.randint(2, 101, (len(LENGTHS), max(LENGTHS))), LENGTHS)
    batch = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 1, 0])}
    folder = out / "deberta-v2-apart"
    save_model(make_model(folder), folder)
    save_tensors(batch | reference(make_model(folder), batch, [*POSITIONS, "query_proj", "classifier"]), folder)
    print(trace(make_model(folder), batch, folder, TARGETS, task_type="SEQ_CLS"))


main(pathlib.Path(sys.argv[1]))
