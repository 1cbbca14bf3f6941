"""Running the two sides of benchmarks/compare, each measurement as a process."""

import json
import os
import statistics
import subprocess
import sys


class Failed(Exception):
    """A measurement that gave no figures."""


def median(values, key=None):
    """Of numbers, or of one key of documents; None where there are none."""
    if not values:
        return None
    return statistics.median(value[key] if key else value for value in values)


def print_table(rows):
    """As Markdown; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


class Side:
    """`script` is the Python program of the other side."""

    def __init__(self, root, threads, script="compare_torch.py"):
        self.threads = ["--threads", str(threads)]
        self._program = str(root / "build" / "release" / "rankfold")
        self._torch = str(root / "benchmarks" / script)
        self._environment = dict(os.environ, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        # They force slower kernels on shared machines.
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            self._environment.pop(name, None)

    def ours(self, *words):
        threads = self.threads if words[0] in ("bench", "finetune") else []
        return self._document([self._program, *words, *threads, "--json"])

    def theirs(self, *words):
        return self._document([sys.executable, self._torch, *words, *self.threads])

    def _document(self, command):
        try:
            return json.loads(self._output(command))
        except json.JSONDecodeError as error:
            raise Failed(f"{' '.join(command)}: printed no JSON") from error

    def _output(self, command):
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            raise Failed(f"{' '.join(command)}: {lines[-1] if lines else done.returncode}")
        return done.stdout
