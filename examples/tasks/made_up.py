#!/usr/bin/env python3
"""Writes made-up rows of the tasks whose data nobody ships with rankfold, in the files that their data sets have.

    examples/tasks/made_up.py FOLDER

They show the path of a task and the layout of its files; scores on them mean nothing.
"""

import json
import pathlib
import sys

TRAIN, DEV = 12, 6
ASKED = 512  # more than the 500 that a task by prompt holds out
NAMES = ["Anna", "Berta", "Clara", "Dora"]


def write_table(file, header, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(header)] + ["\t".join(str(cell) for cell in row) for row in rows]
    file.write_text("\n".join(lines) + "\n")


def write_lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_json(file, document):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))


def glue(folder):
    def pair(i):
        return f"{NAMES[i % 4]} has {i} apples.", f"{NAMES[(i + i % 2) % 4]} has {i} apples."

    yes_no = ["entailment", "not_entailment"]
    shapes = {
        "MRPC": (["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
                 lambda i: (1 - i % 2, i, i + 100, *pair(i))),
        "QQP": (["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
                lambda i: (i, i, i + 100, *pair(i), 1 - i % 2)),
        "QNLI": (["index", "question", "sentence", "label"],
                 lambda i: (i, f"Who has {i} apples?", pair(i)[i % 2], yes_no[i % 2])),
        "WNLI": (["index", "sentence1", "sentence2", "label"], lambda i: (i, *pair(i), 1 - i % 2)),
        "RTE": (["index", "sentence1", "sentence2", "label"], lambda i: (i, *pair(i), yes_no[i % 2])),
        "MNLI": (["index", "sentence1", "sentence2", "gold_label"],
                 lambda i: (i, *pair(i), ["entailment", "neutral", "contradiction"][i % 3])),
    }
    for task, (header, row) in shapes.items():
        write_table(folder / task / "train.tsv", header, map(row, range(TRAIN)))
        for part in ["dev_matched", "dev_mismatched"] if task == "MNLI" else ["dev"]:
            write_table(folder / task / f"{part}.tsv", header, map(row, range(50, 50 + DEV)))


def superglue(folder):
    def wsc(i):
        a, b = NAMES[i % 4], NAMES[(i + 1) % 4]
        return {"text": f"{a} gave {b} {i} apples , and then she left .", "label": i % 2 == 0, "idx": i,
                "target": {"span1_text": a, "span1_index": 0, "span2_text": "she", "span2_index": 7}}

    def record(i):
        a, b = NAMES[i % 4], NAMES[(i + 1) % 4]
        text = f"{a} met {b} on day {i}.\n@highlight\n{a} was glad"
        places = [{"start": 0, "end": len(a) - 1}, {"start": len(a) + 5, "end": len(a) + 4 + len(b)}]
        answer = {"start": 0, "end": len(a) - 1, "text": a}
        query = {"query": "@placeholder had come by train", "answers": [answer], "idx": {"passage": i, "query": i}}
        return {"source": "made up", "idx": i, "passage": {"text": text, "entities": places}, "qas": [query]}

    for task, row in {"WSC": wsc, "ReCoRD": record}.items():
        write_lines(folder / task / "train.jsonl", map(row, range(ASKED)))
        write_lines(folder / task / "val.jsonl", map(row, range(ASKED, ASKED + DEV)))


def squad(file, numbers):
    paragraphs = []
    for i in numbers:
        context = f"{NAMES[i % 4]} has {i} apples."
        answer = {"text": str(i), "answer_start": context.index(str(i))}
        question = {"id": str(i), "question": f"How many apples has {NAMES[i % 4]}?", "answers": [answer]}
        paragraphs.append({"context": context, "qas": [question]})
    write_json(file, {"version": "1.1", "data": [{"title": "Apples", "paragraphs": paragraphs}]})


def drop(file, numbers):
    nothing = {"spans": [], "date": {"day": "", "month": "", "year": ""}}
    passages = {}
    for i in numbers:
        pair = {"query_id": str(i), "question": "How many apples are there?",
                "answer": {"number": str(i + 2), **nothing}, "validated_answers": []}
        passages[f"made_up_{i}"] = {"passage": f"Anna has {i} apples, Berta 2.", "qa_pairs": [pair]}
    write_json(file, passages)


def main():
    folder = pathlib.Path(sys.argv[1])
    glue(folder / "GLUE")
    superglue(folder / "SUPERGLUE")
    asked, scored = range(ASKED), range(ASKED, ASKED + DEV)
    squad(folder / "SUPERGLUE/SQuAD/train-v1.1.json", asked)
    squad(folder / "SUPERGLUE/SQuAD/dev-v1.1.json", scored)
    drop(folder / "SUPERGLUE/DROP/drop_dataset_train.json", asked)
    drop(folder / "SUPERGLUE/DROP/drop_dataset_dev.json", scored)


if __name__ == "__main__":
    main()
