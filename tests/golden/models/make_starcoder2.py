"""Makes starcoder2 and starcoder2-classifier, tiny StarCoder 2s with random weights, beside this file.

    PYTHON make_starcoder2.py DIR

PYTHON has torch, transformers and PEFT (benchmarks/compare-requirements.txt); DIR is the folder of this file, or another.
Texts are longer than the window of 4 tokens. Seeds: 200 and 201, batches 1200 and 1201, adapters 1.
"""

import pathlib
import sys

import torch
from golden_folder import add_noise, greedy, padded, reference, save_model, save_tensors, trace
from transformers import Starcoder2Config, Starcoder2ForCausalLM, Starcoder2ForSequenceClassification

LENGTHS = (9, 5, 7, 2)
TARGETS = ["q_proj", "v_proj", "c_fc", "c_proj"]


def make_model(kind, seed):
    torch.manual_seed(seed)
    config = Starcoder2Config(
        vocab_size=101,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.15,
        sliding_window=4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        num_labels=3,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
        attn_implementation="eager",
    )
    model = kind(config).to(torch.float32).eval()
    add_noise(model, lambda name: "norm." in name or name.endswith(".bias"))
    return model


def make_batch(classifies, seed):
    torch.manual_seed(seed)
    ids = torch.randint(2, 101, (len(LENGTHS), max(LENGTHS)))
    ids, mask = padded(ids, LENGTHS)
    labels = torch.tensor([0, 2, 1, 2]) if classifies else ids.masked_fill(mask == 0, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def main(out):
    cases = {"starcoder2": Starcoder2ForCausalLM, "starcoder2-classifier": Starcoder2ForSequenceClassification}
    for seed, (name, kind) in enumerate(cases.items(), start=200):
        classifies = kind is Starcoder2ForSequenceClassification
        folder = out / name
        save_model(make_model(kind, seed), folder)
        batch = make_batch(classifies, seed + 1000)
        tensors = batch | reference(make_model(kind, seed), batch, [*TARGETS, "score"])
        if not classifies:
            tensors |= greedy(make_model(kind, seed), batch, 5)
        save_tensors(tensors, folder)
        task = {"task_type": "SEQ_CLS"} if classifies else {}
        print(name, trace(make_model(kind, seed), batch, folder, TARGETS, **task))


main(pathlib.Path(sys.argv[1]))
