"""Makes the tiny Llamas with stretched rotary positions beside this file: llama-linear-rope and its kin.

    PYTHON make_rope_models.py DIR

PYTHON has torch, transformers and PEFT (benchmarks/compare-requirements.txt); DIR is the folder of this file, or another.
Each model is random (its seed stands below) and trained for 16 positions; its texts are longer.
"""

import pathlib
import sys

import torch
from golden_folder import add_noise, greedy, padded, reference, save_model, save_tensors, trace
from transformers import LlamaConfig, LlamaForCausalLM

TRAINED = 16
CASES = {
    "llama-linear-rope": {"rope_type": "linear", "factor": 4.0},
    "llama-dynamic-rope": {"rope_type": "dynamic", "factor": 4.0},
    "llama-yarn-rope": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED},
    "llama-yarn-factor-rope": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": TRAINED,
        "attention_factor": 0.8,
        "beta_fast": 4.0,
        "beta_slow": 0.5,
        "truncate": False,
    },
    "llama-yarn-mscale-rope": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": TRAINED,
        "mscale": 2.0,
        "mscale_all_dim": 0.5,
    },
}
TARGETS = ["q_proj", "v_proj"]


def make_model(rope, seed):
    torch.manual_seed(seed)
    # Dynamic scaling reckons from the positions that config.json tells.
    positions = TRAINED if rope["rope_type"] == "dynamic" else 4 * TRAINED
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=positions,
        initializer_range=0.3,
        rms_norm_eps=1e-5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": 10000.0, **rope},
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    add_noise(model, lambda name: name.endswith("norm.weight"))
    return model


def make_batch():
    lengths = (28, 19)
    ids = torch.randint(1, 64, (len(lengths), max(lengths)))
    ids, mask = padded(ids, lengths)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def main(out):
    for seed, (name, rope) in enumerate(CASES.items(), start=100):
        folder = out / name
        save_model(make_model(rope, seed), folder)
        torch.manual_seed(seed + 1000)
        batch = make_batch()
        # Dynamic scaling keeps the frequencies of the longest text so far: a model begins anew for each text.
        tensors = reference(make_model(rope, seed), batch, TARGETS) | greedy(make_model(rope, seed), batch, 20)
        save_tensors(batch | tensors, folder)
        print(name, trace(make_model(rope, seed), batch, folder, TARGETS))


main(pathlib.Path(sys.argv[1]))
