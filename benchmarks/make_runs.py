#!/usr/bin/env python3
"""make_runs.py DIR [--runs N]: a folder of N runs as a sweep leaves them, for timing alone.

EVERY NUMBER IN IT IS INVENTED: scores, losses, times and memory come from a formula and a random
number generator, and say nothing about any method. It serves to measure how long `rankfold report`
and `rankfold figure` take, and how large a page is.
"""
import argparse
import itertools
import json
import math
import pathlib
import random
import struct

METHODS = {"lora": 9216, "lotr": 800, "lorta": 500, "loretta_rep": 3000, "dora": 9500,
           "fact_tt": 1500, "vera": 200, "lokr": 2000}
TASKS = {"cola": "matthews_correlation", "mrpc": "accuracy", "qnli": "accuracy",
         "rte": "accuracy", "sst2": "accuracy", "wnli": "accuracy"}
RANKS = [1, 2, 4, 8, 16, 32]
RATES = [0.0005, 0.001, 0.005, 0.01]
STEPS = 20

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
    TABLE.append(byte)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data):
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return (length + struct.pack("<I", masked_crc(length)) + data +
            struct.pack("<I", masked_crc(data)))


def loss_event(step, loss):
    tag = b"train/loss"
    value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", loss)
    summary = b"\x0a" + bytes([len(value)]) + value
    return record(b"\x09" + struct.pack("<d", 0.0) + b"\x10" + bytes([step]) + b"\x2a" +
                  bytes([len(summary)]) + summary)


def run_of(task, method, rank, rate, seed, random_numbers):
    parameters = METHODS[method] * rank
    share = math.log(parameters) / math.log(400000) - 0.1 * abs(math.log10(rate) + 2.5)
    score = min(0.99, 0.55 + 0.35 * share + random_numbers.gauss(0, 0.01))
    status = random_numbers.choices(["done", "diverged", "failed"], [0.98, 0.015, 0.005])[0]
    settings = {
        "model": "/invented/models/minilm", "data": "/invented/data", "task": task,
        "method": method, "rank": rank, "alpha": 8, "targets": "q,v", "layers": "all",
        "lr": rate, "epochs": 3, "batch": 32, "max-length": 128, "optimizer": "adamw",
        "weight-decay": 0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08,
        "schedule": "linear", "warmup": 0.06, "clip": 0, "precision": "f32",
        "score-on": "dev", "seed": seed, "threads": 1, "cache-features": "false",
        "cache-limit": 4096, method + ".init": "published"}
    seconds = 100 + random_numbers.random() * 20
    epochs = [{"epoch": e, "loss": 0.7 / e, "scores": {TASKS[task]: score, "f1": score},
               "seconds": seconds / 3} for e in (1, 2, 3)]
    run = {
        "settings": settings, "status": status,
        "resolved": {"dropout": {"attention": 0.1, "hidden": 0.1}, "notes": [],
                     "plans": ["[" + method + "] q 384x384, v 384x384 of 6 layers, 365 tokens: " +
                               "outputs and dX through W + dW, factors' gradients by blocks"]},
        "parameters": {"adapter": parameters, "head": 770, "trainable": parameters + 770,
                       "total": 22713986 + parameters},
        "adapted_layers": 6,
        "scores": {TASKS[task]: score, "f1": score} if status == "done" else {},
        "epochs": epochs, "tokens_per_second": 2000 + 300 * random_numbers.random(),
        "examples_per_second": 100.0, "train_seconds": seconds,
        "peak_memory_mib": 300 + parameters / 1000,
        "machine": "no machine: invented numbers, for timing alone",
        "versions": {"rankfold": "0.1.0", "compiler": "none", "blas": "none"}}
    if status != "done":
        run["error"] = "the loss became NaN (invented)" if status == "diverged" else "invented"
        run["failed_step"] = 17
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5000)
    arguments = parser.parse_args()
    random_numbers = random.Random(1)
    seeds = math.ceil(arguments.runs / (len(TASKS) * len(METHODS) * len(RANKS) * len(RATES)))
    grid = itertools.product(range(1, seeds + 1), TASKS, METHODS, RANKS, RATES)
    listed = []
    for seed, task, method, rank, rate in itertools.islice(grid, arguments.runs):
        name = f"{task}/minilm/{method}/lr={rate}/rank={rank}/batch=32/epochs=3/seed={seed}"
        folder = arguments.folder / name
        folder.mkdir(parents=True)
        run = run_of(task, method, rank, rate, seed, random_numbers)
        (folder / "run.json").write_text(json.dumps(run, indent=2))
        (folder / "log.txt").write_text("invented\n")
        losses = [0.7 * math.exp(-step / 30) + 0.02 * random_numbers.random()
                  for step in range(1, STEPS + 1)]
        (folder / "events.out.tfevents.1.invented.1.0").write_bytes(
            b"".join(loss_event(step + 1, loss) for step, loss in enumerate(losses)))
        listed.append({"folder": name, "settings": run["settings"]})
    sweep = {"kind": "train", "rankfold": "0.1.0", "runs": listed}
    (arguments.folder / "sweep.json").write_text(json.dumps(sweep, indent=1))
    print(f"{len(listed)} runs of invented numbers in {arguments.folder}")


main()
