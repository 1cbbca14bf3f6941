"""Makes folders.json: pip install transformers==5.24.0 tokenizers==0.23.3, then run in this folder.

Each entry is a model folder: the tokenizer.json of ../wordpiece with some keys changed, or its vocabulary as vocab.txt,
and files beside it. `cases` holds what AutoTokenizer makes of the texts; null where transformers refuses the folder.
"""

import copy
import json
import os
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
from transformers import AutoTokenizer  # noqa: E402

BASE = json.load(open("../wordpiece/tokenizer.json"))
BY_ID = sorted(BASE["model"]["vocab"], key=BASE["model"]["vocab"].get)
VOCAB = "\n".join(BY_ID) + "\n"
TEXTS = [
    {"text": "The Café IN Tokyo 東京 <new> foo"},
    {"text": "ÉTÉ foo [MASK] x[SEP]y MiXeD", "max_length": 8},
    {"text": "<s> hello </s> [PAD] many", "pair": "words that are cut somewhere", "max_length": 13},
]


def token(number, content, **flags):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False} | flags
    return {"id": number, "content": content} | flags


def decoder(*tokens):
    return {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokens}


STANDARD = [token(t["id"], t["content"], special=True) for t in BASE["added_tokens"]]
NEW, FOO = token(1500, "<new>", lstrip=True), token(1501, "foo", single_word=True, normalized=True)
MASK = token(STANDARD[-1]["id"], "[MASK]", lstrip=True, normalized=True, special=True)
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
CASED = {"normalizer": {"lowercase": False}}


def folders():
    options = [
        {}, {"do_lower_case": False}, {"do_lower_case": True}, {"strip_accents": False}, {"strip_accents": True},
        {"do_lower_case": False, "strip_accents": True}, {"tokenize_chinese_chars": False},
        {"truncation_side": "left"}, {"truncation_side": "middle"}, {"padding_side": "left"}, {"model_max_length": 8},
        {"add_bos_token": True}, {"bos_token": "<s>", "eos_token": "</s>"}, {"mask_token": "foo"},
        {"unk_token": "[PAD]"}, {"cls_token": "[MASK]"}, {"pad_token": "<new>"},
        {"additional_special_tokens": ["<new>", "foo"]}, {"extra_special_tokens": {"x": "<new>"}},
        {"image_token": "<new>"}, {"model_input_names": ["input_ids", "attention_mask"]},
        {"split_special_tokens": True}, {"never_split": ["foo"]}, {"auto_map": {"AutoTokenizer": ["a.B", None]}},
        {"mask_token": {"__type": "AddedToken"} | {k: v for k, v in MASK.items() if k != "id"}},
        {"tokenizer_class": "DistilBertTokenizer"}, {"tokenizer_class": "RobertaTokenizer"},
        {"max_length": 8, "stride": 2, "truncation_strategy": "only_first"},
        {"added_tokens_decoder": decoder(*STANDARD, NEW, FOO)}, {"added_tokens_decoder": decoder(*STANDARD[:-1], MASK)},
        {"added_tokens_decoder": decoder(*STANDARD, token(1700, "<new>"))},
        {"added_tokens_decoder": decoder(*STANDARD[:-1], token(77, "[MASK]"))},
        {"added_tokens_decoder": decoder(STANDARD[0])},
    ]
    for option in options:
        yield {"tokenizer_config.json": option}
        yield {"tokenizer_config.json": option | FAST if "tokenizer_class" not in option else FAST}
        yield {"tokenizer_config.json": option, "vocab": True}
    changes = [
        CASED, {"normalizer": {"strip_accents": False}}, {"normalizer": {"clean_text": False}}, {"post_processor": None},
        {"model": {"max_input_chars_per_word": 5}}, {"added_tokens": BASE["added_tokens"] + [NEW, FOO]},
        {"added_tokens": []}, {"added_tokens": BASE["added_tokens"] + [token(1600, "<new>")]},
        {"truncation": {"direction": "Left", "max_length": 8, "strategy": "LongestFirst", "stride": 0}},
        {"padding": {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "foo"}},
    ]
    for change in changes:
        yield {"changes": change}
        yield {"changes": change, "tokenizer_config.json": FAST}
        yield {"changes": change, "tokenizer_config.json": {"do_lower_case": False}}
    for files in [
        {"added_tokens.json": {"<new>": 1500, "MiXeD": 1501}}, {"added_tokens.json": {"<new>": 1501, "MiXeD": 1500}},
        {"added_tokens.json": {"<new>": 1600}},
        {"added_tokens.json": {"<new>": 1500}, "special_tokens_map.json": {"additional_special_tokens": ["<new>"]}},
        {"special_tokens_map.json": {"mask_token": {"content": "foo", "lstrip": True, "normalized": False}}},
        {"special_tokens_map.json": {"cls_token": "[MASK]"}},
        {"added_tokens.json": {"<new>": 1500}, "special_tokens_map.json": {"mask_token": "foo"},
         "tokenizer_config.json": {"added_tokens_decoder": decoder(*STANDARD)}},
    ]:
        yield files
        yield files | {"vocab": True}
    yield {"config.json": {"model_type": "roberta"}}
    yield {"config.json": {"model_type": "distilbert"}}
    yield {"config.json": {"model_type": "bert", "tokenizer_class": "PreTrainedTokenizerFast"}, "changes": CASED}


def encoded(tokenizer, case):
    cut = {"truncation": True, "max_length": case["max_length"]} if "max_length" in case else {}
    result = tokenizer(case["text"], case["pair"], **cut) if "pair" in case else tokenizer(case["text"], **cut)
    types = result.get("token_type_ids", [0] * len(result["input_ids"]))
    return case | {"ids": result["input_ids"], "type_ids": types}


def main():
    lines = []
    for folder in folders():
        folder = {"config.json": {"model_type": "bert"}} | folder
        with tempfile.TemporaryDirectory() as path:
            for name, content in folder.items():
                if name.endswith(".json"):
                    json.dump(content, open(f"{path}/{name}", "w"))
            if folder.get("vocab"):
                open(f"{path}/vocab.txt", "w").write(VOCAB)
            else:
                tokenizer = copy.deepcopy(BASE)
                for key, value in folder.get("changes", {}).items():
                    tokenizer[key] = tokenizer[key] | value if key in ("normalizer", "model") else value
                json.dump(tokenizer, open(f"{path}/tokenizer.json", "w"))
            try:
                loaded = AutoTokenizer.from_pretrained(path)
                cases = [encoded(loaded, case) for case in TEXTS]
            except Exception:
                cases = None
        lines.append(json.dumps({"files": folder, "cases": cases}, separators=(",", ":")))
    open("folders.json", "w").write("[\n" + ",\n".join(lines) + "\n]\n")


main()
