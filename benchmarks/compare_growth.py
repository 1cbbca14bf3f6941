"""How our cost grows with tokens, rank, layers and sites: exponents of a line through the logarithms.

The last layer of a classifier computes little but the pooled token, so a model of one layer costs a part
of a layer: layers are counted without it, and the cost of a model that has the last one alone is taken off.
"""

import json
import math
import os
import tempfile

from compare_measure import median

METHODS = ["lora", "lotr", "lorta", "loretta_rep"]
TOKENS = [512, 2048, 8192, 32768]
RANKS = [1, 4, 16, 64, 128]
LAYERS = [1, 3, 12, 48]
SITES = [2, 10, 50, 200]
LENGTH = 128


def exponent(xs, ys):
    """The slope of the least squares line through (log x, log y)."""
    xs, ys = [math.log(x) for x in xs], [math.log(y) for y in ys]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / sum((x - mean_x) ** 2 for x in xs)


def write_model(folder, layers):
    """A narrow BERT without weights."""
    path = os.path.join(folder, f"{layers}-layers")
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": "bert", "hidden_act": "gelu", "hidden_size": 128, "intermediate_size": 512,
                   "num_attention_heads": 2, "num_hidden_layers": layers, "vocab_size": 1000,
                   "max_position_embeddings": LENGTH, "type_vocab_size": 2}, file)
    return path


def measure(side, rounds, quick):
    """(what grows, exponent, the points in words, whether it has a target) for every method."""
    with tempfile.TemporaryDirectory() as folder:

        def step(method, layers, rank, batch):
            return side.ours("bench", "step", "--model", write_model(folder, layers), "--method", method,
                             "--rank", str(rank), "--batch", str(batch), "--length", str(LENGTH), "--steps",
                             "5")["step_ms"]

        def sites(method, count):
            document = side.ours("bench", "layer", "--width", "128", "--tokens", "1024", "--rank", "8",
                                 "--sites", str(count), "--method", method, "--rounds", "5")
            return document["rows"][0]["forward_backward_ms"]

        kinds = [
            ("tokens", TOKENS, lambda method, tokens: step(method, 2, 8, tokens // LENGTH), True),
            ("rank", RANKS, lambda method, rank: step(method, 2, rank, 32), False),
            ("whole layers", LAYERS,
             lambda method, layers: step(method, layers + 1, 8, 8) - step(method, 1, 8, 8), True),
            ("sites", SITES, sites, True),
        ]
        for method in METHODS[:1] if quick else METHODS:
            for name, points, cost, limited in kinds:
                points = [points[0], points[-1]] if quick else points
                times = {point: [] for point in points}
                for _ in range(rounds):
                    for point in points:
                        times[point].append(cost(method, point))
                costs = [median(times[point]) for point in points]
                words = f"{points[0]:,} {costs[0]:.1f} ms to {points[-1]:,} {costs[-1]:.1f} ms"
                yield f"{name}, {method}", exponent(points, costs), words, limited
