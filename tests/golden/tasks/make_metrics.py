"""Writes metrics.json: predictions, labels and what scikit-learn and SciPy score them.

python3 -m venv /tmp/v && /tmp/v/bin/pip install numpy scikit-learn scipy
/tmp/v/bin/python tests/golden/tasks/make_metrics.py
"""

import json
import pathlib

import numpy
from scipy import stats
from sklearn import metrics

random = numpy.random.default_rng(20240607)


def score_classes(name, predictions, labels):
    return {
        "name": name,
        "predictions": [int(p) for p in predictions],
        "labels": [int(y) for y in labels],
        "scores": {
            "accuracy": float(metrics.accuracy_score(labels, predictions)),
            "f1": float(metrics.f1_score(labels, predictions, zero_division=0)),
            "matthews_correlation": float(metrics.matthews_corrcoef(labels, predictions)),
        },
    }


def score_values(name, predictions, labels):
    predictions = numpy.asarray(predictions, dtype=numpy.float32)
    labels = numpy.asarray(labels, dtype=numpy.float32)
    wide = predictions.astype(numpy.float64), labels.astype(numpy.float64)
    return {
        "name": name,
        "predictions": [float(p) for p in predictions],
        "labels": [float(y) for y in labels],
        "scores": {
            "pearson": float(stats.pearsonr(*wide).statistic),
            "spearman": float(stats.spearmanr(*wide).statistic),
        },
    }


labels = random.integers(0, 2, 40)
noisy = numpy.where(random.random(40) < 0.75, labels, 1 - labels)
rare = (random.random(40) < 0.1).astype(int)
scores = numpy.round(random.uniform(0, 5, 30) * 5) / 5
cases = {
    "classes": [
        score_classes("noisy", noisy, labels),
        score_classes("rare positives", (random.random(40) < 0.2).astype(int), rare),
        score_classes("perfect", labels, labels),
        score_classes("inverted", 1 - labels, labels),
        score_classes("constant 1", numpy.ones(40), labels),
        score_classes("constant 0", numpy.zeros(40), labels),
        score_classes("labels constant", noisy, numpy.ones(40)),
    ],
    "values": [
        score_values("noisy", scores + random.normal(0, 1, 30), scores),
        score_values("ties on both sides", numpy.round(scores + random.normal(0, 1, 30)), scores),
        score_values("large offset", 4096 + scores + random.normal(0, 1, 30), scores),
        score_values("monotone, not linear", numpy.exp(scores), scores),
        score_values("opposed", -2 * scores + 1, scores),
        score_values("two rows", [0.25, 0.75], [4, 1]),
    ],
}
file = pathlib.Path(__file__).with_name("metrics.json")
file.write_text(json.dumps(cases, indent=1) + "\n")
