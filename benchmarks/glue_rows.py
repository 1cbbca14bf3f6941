"""GLUE's rows, and batches of token ids, for the torch side of the comparisons."""

import pathlib

import torch

# Folder, whether there is a header, columns of the texts and of the label.
LAYOUTS = {
    "cola": ("CoLA", False, [3], 1),
    "sst2": ("SST-2", True, ["sentence"], "label"),
    "stsb": ("STS-B", True, ["sentence1", "sentence2"], "score"),
}


def read_rows(task, folder, part, most=0):
    """Texts (a tuple of one or two) and the label as a number, of the first rows of train or dev."""
    name, has_header, texts, label = LAYOUTS[task]
    file = pathlib.Path(folder) / name / f"{part}.tsv"
    lines = [line.rstrip("\r").split("\t") for line in file.read_text(encoding="utf-8").split("\n") if line]
    if has_header:
        header, *lines = lines
        texts, label = [header.index(column) for column in texts], header.index(label)
    rows = [(tuple(line[column] for column in texts), float(line[label])) for line in lines]
    return rows[:most] if most else rows


def padded(sequences, pad):
    """Ids and attention mask, each row filled up on the right."""
    longest = max(map(len, sequences))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in sequences])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in sequences])
    return ids, mask
