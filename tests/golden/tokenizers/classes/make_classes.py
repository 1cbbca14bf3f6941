"""Makes folders.json: pip install transformers==5.24.0 tokenizers==0.23.3 sentencepiece==0.2.3, then run in this folder.

Each entry is a folder without tokenizer.json: vocab.json and merges.txt of ../byte-level-bpe, or one of the SentencePiece
models here under the name that its class looks for, with files beside it. `cases` holds the ids of AutoTokenizer; for
Llama those of SentencePiece's own library behind <s>, for DeBERTa-v2 those of transformers' DebertaV2Converter, which
follow the model's map of characters, unlike its class.
"""

import importlib
import json
import os
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
import sentencepiece  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

sys.path.insert(0, "../parts")
os.chdir("../parts")
from make_parts import texts  # noqa: E402

os.chdir("../classes")
BASE = json.load(open("../byte-level-bpe/tokenizer.json"))["model"]
GPT2 = {"tokenizer_class": "GPT2Tokenizer"}
OPT = GPT2 | {"add_bos_token": True, "bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
QWEN2 = {"tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False, "bos_token": None, "eos_token": "</s>", "unk_token": None, "pad_token": "<pad>"}
FOLDERS = [
    {"tokenizer_config.json": GPT2},
    {"tokenizer_config.json": GPT2 | {"add_prefix_space": True}},
    {"tokenizer_config.json": OPT, "special_tokens_map.json": {"bos_token": "</s>", "pad_token": "<pad>"}},
    {"config.json": {"model_type": "roberta"}},
    {"config.json": {"model_type": "roberta"}, "tokenizer_config.json": {"add_prefix_space": True, "mask_token": "<mask>"}},
    {"tokenizer_config.json": QWEN2},
    {"tokenizer_config.json": QWEN2, "added_tokens.json": {"<new>": 1500}},
    {"config.json": {"model_type": "albert"}, "model": ["albert.model", "spiece.model"]},
    {"config.json": {"model_type": "albert"}, "tokenizer_config.json": {"do_lower_case": False, "keep_accents": True},
     "model": ["albert.model", "spiece.model"]},
    {"config.json": {"model_type": "xlm-roberta"}, "model": ["xlm-roberta.model", "sentencepiece.bpe.model"]},
    {"config.json": {"model_type": "llama"}, "model": ["llama.model", "tokenizer.model"]},
    {"config.json": {"model_type": "deberta-v2"}, "model": ["deberta-v2.model", "spm.model"]},
]
MORE = ["a <s> b</s><mask>x [MASK] y", "The Caf\u00e9 IN Tokyo [CLS] <unk> foo 12, 3,4", "<|endoftext|>a <new> b"]


class Slow:
    """What the converter asks of a slow tokenizer."""

    vocab_file, legacy, do_lower_case, split_by_punct, add_prefix_space = "deberta-v2.model", True, False, False, True

    def convert_tokens_to_ids(self, token):
        return {"[CLS]": 1, "[SEP]": 2}[token]


def encoder(path, folder):
    kind = folder.get("config.json", {}).get("model_type")
    if kind == "llama":
        model = sentencepiece.SentencePieceProcessor(model_file="llama.model")
        return lambda text, pair: ([1] + model.encode(text), None)
    if kind == "deberta-v2":
        converter = importlib.import_module("transformers.convert_slow_tokenizer").DebertaV2Converter
        made = converter(Slow()).converted()
        return lambda text, pair: (made.encode(text, pair).ids, made.encode(text, pair).type_ids)
    loaded = AutoTokenizer.from_pretrained(path)
    return lambda text, pair: (loaded(text, pair)["input_ids"], None)


def main():
    entries = []
    for folder in FOLDERS:
        with tempfile.TemporaryDirectory() as path:
            for name, content in folder.items():
                if name.endswith(".json"):
                    json.dump(content, open(f"{path}/{name}", "w"))
            if "model" in folder:
                open(f"{path}/{folder['model'][1]}", "wb").write(open(folder["model"][0], "rb").read())
            else:
                json.dump(BASE["vocab"], open(f"{path}/vocab.json", "w"))
                lines = ["#version: 0.2"] + [" ".join(merge) for merge in BASE["merges"]]
                open(f"{path}/merges.txt", "w").write("\n".join(lines) + "\n")
            encode = encoder(path, folder)
            cases = []
            special = [] if "model" in folder and folder["model"][0] in ("llama.model", "deberta-v2.model") else MORE
            for i, text in enumerate(texts(7, 12) + special):
                pair = "the film  foo" if i % 4 == 3 and "llama.model" not in folder.get("model", []) else None
                ids, types = encode(text, pair)
                cases.append({"text": text, "ids": ids} | ({"pair": pair} if pair else {}) | ({"type_ids": types} if types else {}))
        entries.append({"files": folder, "cases": cases})
    json.dump(entries, open("folders.json", "w"), separators=(",", ":"))


main()
