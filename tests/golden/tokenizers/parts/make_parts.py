"""Makes parts.json, models.json and classes.json: pip install tokenizers==0.23.3, then run in this folder.

parts.json: normalizers, splitters and decoders by themselves, on texts that were written for it and on random ones.
models.json: the tokenizer.json of another folder with some of its keys changed, ids and texts of ids.
classes.json: the characters of a class as ranges [first, last], and those that this Python's Unicode 14 does not have.
"""

import copy
import json
import random
import sys
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace("{1,3}", "")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PIECES = (
    "the|film|na\u00efve|caf\u00e9|\u0130stanbul|\u039f\u0394\u039f\u03a3|don't|CAN'T|we'LL|I'm|\u65e5\u672c\u8a9e|"
    "\ud55c\uad6d\uc5b4|\u0939\u093f\u0928\u094d\u0926\u0940|\u0e44\u0e17\u0e22|\u00bd|\u00b2|\u2460|\u1e9e|\u01c5|"
    "\ufb01|``x''|$5|#tag|\u202e|\u200b|\ufeff|e\u0301|x\u0323\u0301|x\u0301\u0323|\u1100\u1161\u11a8|\uac01|1,234.56|"
    "___|---|\u2026|\r\n|\n\n|\t|\x0b|\x85|\u00a0|\u3000|\u2028|\u180e|\u200d|\x1f|\ufffd|\ue000|\u2581|\u2581\u2581a|"
    "  |   |'s|'S|\u2019s|\u017f|'\u017f|K|\u212a|A\u030a|\U0001f469\u200d\U0001f469|\U0001d518|\U00011938|\u32ff|"
    "a\u0903|\u20dd|\u0600|\u0661\u0662|1234567|_a|a_b|\u203f|\u2160|\u0085a|\u1e0b\u0323|\u1e0d\u0307|\u0958|\u2126|"
    "\uff26\uff35|q\u0307\u0323|A|z|.|!?|(a)|\u00ab\u00bb"
).split("|")
TEXTS = ["", " ", "  ", "a", " a", "a ", "\n", "Hello, world!", "  leading and   inner   spaces  ", "''``''", "\u2581a b"]


def texts(seed, count):
    draw = random.Random(seed)
    return TEXTS + [
        "".join(draw.choice(PIECES) + draw.choice(["", "", " ", " ", "  "]) for _ in range(draw.randint(1, 9)))
        for _ in range(count)
    ]


def regex(expression):
    return {"Regex": expression}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def byte_level(space, use_regex=True):
    return {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True, "use_regex": use_regex}


def metaspace(scheme, splits=True):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": splits}


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


PRECOMPILED = {"type": "Precompiled", "precompiled_charsmap": json.load(open("charsmap.json"))}
NORMALIZERS = [{"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "ByteLevel")] + [
    {"type": "Strip", "strip_left": True, "strip_right": False},
    {"type": "Strip", "strip_left": False, "strip_right": True},
    {"type": "Prepend", "prepend": "\u2581"},
    replace({"String": "``"}, '"'),
    replace(regex(" {2,}"), " "),
    replace(regex(r"\s{2,}|[\n\r\t]"), " "),
    replace(regex(r"\A +| +\z"), ""),
    replace(regex("^"), ">"),
    replace(regex("a*"), "<>"),
    replace(regex("$"), "<"),
    replace(regex(r"\b"), "|"),
    replace(regex("."), "."),
    PRECOMPILED,
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    sequence("normalizers", {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}),
    sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, replace({"String": " "}, "\u2581")),
    sequence("normalizers", PRECOMPILED, replace(regex(" {2,}"), " ")),
]
BEHAVIOURS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
SPLITTERS = (
    [{"type": kind} for kind in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")]
    + [split(regex(each)) for each in (GPT2, LLAMA3, QWEN, O200K, r"\d", r"[^\S\n]+", r"[\w-]+", r"\p{Han}+", "a*", r"\W")]
    + [split(regex(r"(?i:K|s)+")), split(regex(r"(?<=a)b?|x")), split(regex(r"\p{^L}|[\p{Lu}-]")), split(regex(r"\h{2,}"))]
    + [split({"String": each}, behaviour, invert) for each in (" ", "  ") for behaviour in BEHAVIOURS for invert in (False, True)]
    + [split(regex(r"\s|\p{P}"), behaviour, invert) for behaviour in BEHAVIOURS for invert in (False, True)]
    + [{"type": "Digits", "individual_digits": each} for each in (False, True)]
    + [{"type": "Punctuation", "behavior": each} for each in BEHAVIOURS]
    + [{"type": "CharDelimiterSplit", "delimiter": "_"}]
    + [metaspace(scheme, splits) for scheme in ("always", "first", "never") for splits in (False, True)]
    + [byte_level(space, use_regex) for space in (False, True) for use_regex in (False, True)]
    + [
        sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level(False)),
        sequence("pretokenizers", split(regex(LLAMA3)), byte_level(False, False)),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always")),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first")),
        sequence("pretokenizers", {"type": "Punctuation", "behavior": "Isolated"}, metaspace("first")),
        sequence("pretokenizers", {"type": "BertPreTokenizer"}, byte_level(True)),
    ]
)
DECODERS = [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    metaspace("always"),
    metaspace("first"),
    metaspace("never"),
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    {"type": "Strip", "content": "a", "start": 2, "stop": 0},
    replace({"String": "\u2581"}, " "),
    replace(regex("[ab]"), ""),
    {"type": "WordPiece", "prefix": "##", "cleanup": True},
    {"type": "WordPiece", "prefix": "##", "cleanup": False},
    {"type": "BPEDecoder", "suffix": "</w>"},
    sequence(
        "decoders",
        replace({"String": "\u2581"}, " "),
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ),
]
TOKENS = ["a", "\u2581the", "\u2581", "##ing", "<0xE2>", "<0x82>", "<0xAC>", "<0xFF>", "<0x0A>", "<0xzz>", "\u0120", "\u0120b",
          "\u00e2", "\u0124", "\u00ac", "\u65e5", " a", "aab", ".", "'s", "n't", "do not", "x</w>", "</w>", "b a"]


def load(key, part):
    """The part alone, by way of a whole tokenizer."""
    whole = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}} | {key: part}
    return getattr(Tokenizer.from_str(json.dumps(whole)), key)


def parts(count):
    draw = random.Random(3)
    lists = [[draw.choice(TOKENS) for _ in range(draw.randint(0, 9))] for _ in range(count)]
    return {
        "normalizers": [
            {"part": part, "cases": [[t, load("normalizer", part).normalize_str(t)] for t in texts(1, count)]}
            for part in NORMALIZERS
        ],
        "splitters": [
            {"part": part, "cases": [[t, [p for p, _ in load("pre_tokenizer", part).pre_tokenize_str(t)]] for t in texts(2, count)]}
            for part in SPLITTERS
        ],
        "decoders": [
            {"part": part, "cases": [[tokens, load("decoder", part).decode(tokens)] for tokens in lists]} for part in DECODERS
        ],
    }


def added(number, content, **flags):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False} | flags
    return {"id": number, "content": content} | flags


def models(count):
    first = {"llama-bpe": {"pre_tokenizer": metaspace("first", False), "normalizer": None}}
    news = [added(1500, "<new>", lstrip=True), added(1501, "the film", normalized=True), added(1502, "foo", single_word=True, special=True)]
    variants = [
        ("byte-level-bpe", {"model": {"ignore_merges": True}}),
        ("byte-level-bpe", {"pre_tokenizer": byte_level(True)}),
        ("byte-level-bpe", {"pre_tokenizer": sequence("pretokenizers", split(regex(LLAMA3)), byte_level(False, False))}),
        ("byte-level-bpe", {"pre_tokenizer": sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level(False))}),
        ("byte-level-bpe", {"normalizer": {"type": "NFC"}, "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}}),
        ("byte-level-bpe", {"pre_tokenizer": None, "model": {"unk_token": "<unk>"}}),
        ("byte-level-bpe", {"pre_tokenizer": None, "model": {"unk_token": "<unk>", "fuse_unk": True}}),
        ("byte-level-bpe", {"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"end_of_word_suffix": "s", "unk_token": "<unk>"}}),
        ("byte-level-bpe", {"added": news, "decoder": None}),
        ("llama-bpe", {"model": {"fuse_unk": True, "byte_fallback": False}}),
        ("llama-bpe", {"model": {"ignore_merges": True}}),
        ("llama-bpe", first["llama-bpe"] | {"added": news}),
        ("llama-bpe", {"added": news, "decoder": DECODERS[-1]}),
        ("unigram", {"model": {"byte_fallback": True}}),
        ("unigram", {"pre_tokenizer": None, "added": news, "decoder": metaspace("always")}),
        ("unigram", {"normalizer": PRECOMPILED, "pre_tokenizer": sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first"))}),
        ("unigram", {"post_processor": sequence("processors", byte_level(True), {"type": "RobertaProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3], "trim_offsets": True, "add_prefix_space": True})}),
        ("wordpiece", {"normalizer": sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"})}),
        ("wordpiece", {"pre_tokenizer": {"type": "Whitespace"}}),
    ]
    out = []
    for base, changes in variants:
        whole = json.load(open(f"../{base}/tokenizer.json"))
        for key, value in changes.items():
            if key == "model":
                whole[key] |= value
            elif key == "added":
                whole["added_tokens"] += value
            else:
                whole[key] = copy.deepcopy(value)
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        cases = []
        for i, text in enumerate(texts(4, count) + ["the film <new> foo the  film", "foofoo foo  <new>The Film", "a" * 90]):
            case = {"text": text} | ({"pair": "the <new>film foo"} if i % 4 == 3 else {})
            encoded = tokenizer.encode(text, case.get("pair"))
            ids = encoded.ids
            cases.append(case | {"ids": ids, "type_ids": encoded.type_ids, "decoded": tokenizer.decode(ids), "whole": tokenizer.decode(ids, skip_special_tokens=False)})
        out.append({"base": base, "changes": changes, "cases": cases})
    return out


def classes():
    def ranges(holds):
        found = []
        for point in list(range(0xD800)) + list(range(0xE000, 0x110000)):
            if not holds(chr(point)):
                continue
            if found and found[-1][1] == point - 1:
                found[-1][1] = point
            else:
                found.append([point, point])
        return found

    marks, digits = normalizers.StripAccents(), pre_tokenizers.Digits(individual_digits=True)
    out = {
        "unassigned": ranges(lambda c: unicodedata.category(c) == "Cn"),
        "mark": ranges(lambda c: marks.normalize_str("a" + c) == "a"),
        "numeric": ranges(lambda c: len(digits.pre_tokenize_str("a" + c)) == 2),
    }
    for name, expression, other in [("word", r"\w", "\n"), ("space", r"\s", "!"), ("letter", r"\p{L}", "!"), ("number", r"\p{N}", "!")]:
        splitter = pre_tokenizers.Split(Regex(expression), "isolated")
        out[name] = ranges(lambda c: len(splitter.pre_tokenize_str(other + c)) == 2)
    return out


def write(name, content):
    json.dump(content, open(name, "w"), ensure_ascii=True, separators=(",", ":"))


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    write("parts.json", parts(number))
    write("models.json", models(number))
    write("classes.json", classes())
