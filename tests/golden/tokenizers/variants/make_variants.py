"""Makes variants.json and characters.json: pip install tokenizers==0.23.3, then run in this folder."""

import json
import random

from tokenizers import Tokenizer, normalizers, pre_tokenizers

BASE = json.load(open("../wordpiece/tokenizer.json"))
WORDS = (
    "the film naïve café İstanbul ΟΔΟΣ don't UNAFFABLE Žluťoučký 日本語 한국어 हिन्दी ไทย ½ ẞ ǅ ﬁ ``x'' $5 #tag "
    "\u202e \u200b \ufeff e\u0301 x\u302e\u0301 \u1885 \ua9bd \U000111c9 \u166d \u1734 \U00011938 \U0001e943 "
    "\u061d \u0345 \u2028 \x85 \x00 \ufffd \ue000 \u1100\u1161\u11a8 각 1,234.56 ___ --- … "
    "[CLS] [MASK] [SEP] [UNK] [cls] [[MASK]]"
).split(" ")
ADDED = ["<mask>", "<e1>", "<e12>", "<e", "été", "ÉTÉ", "foo", "_foo", "foo bar", "Foo Bar", " foo bar "]


def added_token(number, content, **flags):
    token = {"id": 1500 + number, "content": content, "special": False, "normalized": False}
    return token | {"single_word": False, "lstrip": False, "rstrip": False} | flags


def changes_of_variants():
    normalizer, processor = BASE["normalizer"], BASE["post_processor"]
    added = BASE["added_tokens"] + [
        added_token(0, "<mask>", lstrip=True),
        added_token(1, "<e1>", rstrip=True),
        added_token(2, "ÉTÉ", normalized=True),
        added_token(3, "foo", single_word=True),
        added_token(4, "Foo Bar", normalized=True, single_word=True, lstrip=True, rstrip=True),
        added_token(5, "<e12>", lstrip=True, rstrip=True),
        added_token(6, "<e"),
    ]
    two_ids = {"id": "[CLS]", "ids": [2, 4], "tokens": ["[CLS]", "[MASK]"]}
    template = processor | {
        "pair": processor["pair"][:3] + [{"SpecialToken": {"id": "[SEP]", "type_id": 1}}] + processor["pair"][3:],
        "special_tokens": processor["special_tokens"] | {"[CLS]": two_ids},
    }
    return {
        "added tokens": {
            "added_tokens": added,
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        },
        "cased": {"normalizer": normalizer | {"lowercase": False}},
        "cased without accents": {"normalizer": normalizer | {"lowercase": False, "strip_accents": True}},
        "accents kept": {"normalizer": normalizer | {"strip_accents": False}},
        "not cleaned": {"normalizer": normalizer | {"clean_text": False, "handle_chinese_chars": False}},
        "plain": {"normalizer": None, "post_processor": None},
        "own template": {"post_processor": template},
        "short words": {"model": {"max_input_chars_per_word": 5, "continuing_subword_prefix": ""}},
    }


def random_character(generator):
    first, last = generator.choice([(32, 126), (32, 126), (0, 0x2FF), (0x300, 0x36F), (0x370, 0x2FFF), (0x3000, 0xD7FF)])
    return chr(generator.randint(first, last))


def random_text(generator):
    parts = []
    for _ in range(generator.randrange(0, 9)):
        kind = generator.random()
        if kind < 0.7:
            parts.append(generator.choice(WORDS + 3 * ADDED))
        elif kind < 0.95:
            parts.append("".join(random_character(generator) for _ in range(generator.randrange(1, 5))))
        else:
            parts.append("a" * generator.choice([5, 6, 100, 101]))
        parts.append(generator.choice(["", " ", "  ", "\t", "\u00a0", "\n", "_", "-"]))
    return "".join(parts)


def make_cases(tokenizer, generator, count):
    cases = []
    for _ in range(count):
        case = {"text": random_text(generator)}
        if generator.random() < 0.5:
            case["pair"] = random_text(generator)
        if generator.random() < 0.6:
            case["max_length"] = generator.randrange(7, 40)
            tokenizer.enable_truncation(case["max_length"])
        encoding = tokenizer.encode(case["text"], case.get("pair"))
        tokenizer.no_truncation()
        cases.append(case | {"ids": encoding.ids, "type_ids": encoding.type_ids})
    return cases


def make_variants():
    variants = []
    for number, (name, changes) in enumerate(changes_of_variants().items()):
        changed = BASE | changes | {"model": BASE["model"] | changes.get("model", {})}
        cases = make_cases(Tokenizer.from_str(json.dumps(changed)), random.Random(number), 60)
        variants.append({"name": name, "changes": changes, "cases": cases})
    return variants


def ranges(code_points):
    found = []
    for point in code_points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def make_characters():
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    clean = normalizers.BertNormalizer(**off | {"clean_text": True})
    chinese = normalizers.BertNormalizer(**off | {"handle_chinese_chars": True})
    accents = normalizers.BertNormalizer(**off | {"strip_accents": True})
    split = pre_tokenizers.BertPreTokenizer()
    points = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    words = {c: len(split.pre_tokenize_str(f"a{chr(c)}a")) for c in points}
    return {
        "dropped": ranges(c for c in points if clean.normalize_str(chr(c)) == ""),
        "ideograph": ranges(c for c in points if chinese.normalize_str(chr(c)) == f" {chr(c)} "),
        "accent": ranges(c for c in points if accents.normalize_str(chr(c)) == ""),
        "whitespace": ranges(c for c in points if words[c] == 2),
        "punctuation": ranges(c for c in points if words[c] == 3),
    }


if __name__ == "__main__":
    with open("variants.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(variant) for variant in make_variants()) + "\n]\n")
    with open("characters.json", "w") as file:
        file.write("{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in make_characters().items()) + "\n}\n")
