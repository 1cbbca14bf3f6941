"""Writes statistics.json: analysis/ must agree with scipy, statsmodels and rliable's formulas."""
import json

import numpy as np
import scipy
import statsmodels
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

rng = np.random.default_rng(20240213)
numbers = lambda values: [float(v) for v in values]

beta = [{"a": a, "b": b, "x": x, "value": float(special.betainc(a, b, x))}
        for a, b in [(0.5, 0.5), (2, 3), (0.5, 40), (25, 0.5), (150, 0.5), (1e3, 2e3)]
        for x in [0, 1e-12, 1e-3, 0.2, 0.3333, 0.5, 0.9, 0.9999, 1]]
student = [{"t": t, "nu": nu, "p": float(2 * stats.t.sf(abs(t), nu))}
           for nu in [1, 2, 4.5, 9, 99, 5000] for t in [0, 1e-7, -0.3, 1, 2.5, -12, 80]]
quantile = [{"confidence": c, "nu": nu, "t": float(stats.t.ppf(0.5 + c / 2, nu))}
            for nu in [1, 2, 3, 4, 9, 29, 999] for c in [0.5, 0.9, 0.95, 0.99, 0.999]]
normal = [{"z": z, "p": float(2 * stats.norm.sf(abs(z)))} for z in [0, 0.1, -1.96, 5, 12]]

means = []
for n in [2, 3, 5, 10, 30]:
    x = rng.normal(0.8, 0.05, n)
    low, high = stats.t.interval(0.95, n - 1, loc=x.mean(), scale=stats.sem(x))
    means.append({"scores": numbers(x), "mean": float(x.mean()), "standard_error": float(stats.sem(x)),
                  "low": float(low), "high": float(high),
                  "interquartile_mean": float(stats.trim_mean(x, 0.25))})


def pair(name, x, y):
    t = stats.ttest_rel(x, y)
    d = x - y
    clean = np.all(d != 0) and len(set(abs(d))) == len(d)
    exact = len(d) <= (50 if clean else 13)
    w = stats.wilcoxon(x, y, method="auto", correction=True)
    return {"name": name, "first": numbers(x), "second": numbers(y), "mean_difference": float(d.mean()),
            "t": float(t.statistic), "t_p": float(t.pvalue), "w": float(w.statistic),
            "w_p": float(w.pvalue), "exact": bool(exact)}


pairs = []
for n in [2, 3, 5, 8, 13, 20, 50, 51, 80]:
    x = rng.normal(0.8, 0.05, n)
    pairs.append(pair(f"continuous, n = {n}", x, x + rng.normal(0.01, 0.03, n)))
for n in [6, 13, 14, 30, 60]:
    x = rng.integers(0, 12, n).astype(float)
    pairs.append(pair(f"ties and zeros, n = {n}", x, x + rng.integers(-2, 5, n)))
x = np.arange(20.0)
pairs.append(pair("rank sums equal, normal", x, x + np.tile([1.0, -1.0], 10)))
pairs.append(pair("one direction, normal", x, x + np.tile([1.0, 2.0], 10)))

holm = [{"p": numbers(p), "adjusted": numbers(multipletests(p, method="holm")[1])}
        for p in [np.array([0.04]), np.array([0.01, 0.04, 0.03, 0.005]), np.array([0.5, 0.5, 0.02, 1, 0]),
                  rng.uniform(0, 1, 12) ** 3]]



def over_tasks(name, has):
    """A mean over tasks where task i has the seeds s with has[i][s], by the matrices of the quadratic form."""
    has = np.array(has, bool)
    k, n = len(has), has.sum(1)
    scores = [rng.normal(0.7 + 0.05 * i, 0.02 * 3.0 ** i, n[i]) for i in range(k)]
    tasks = np.concatenate([np.full(n[i], i) for i in range(k)])
    seeds = np.concatenate([np.flatnonzero(has[i]) for i in range(k)])
    x = np.concatenate(scores)
    centre = np.eye(len(x)) - (tasks[:, None] == tasks) / n[tasks]
    scale = np.diag(1 / np.sqrt(n * (n - 1.0))[tasks])
    sums = (seeds == np.arange(has.shape[1])[:, None]).astype(float) @ scale @ centre / k
    variances = np.array([s.var(ddof=1) for s in scores])[tasks]
    spread = sums @ np.diag(variances) @ sums.T
    mean = float(np.mean([s.mean() for s in scores]))
    error = float(np.sqrt(np.sum((sums @ x) ** 2)))
    degrees = float(np.trace(spread) ** 2 / np.trace(spread @ spread))
    if np.all(has):  # Student's interval of the seeds' means
        low, high = stats.t.interval(0.95, has.shape[1] - 1, loc=mean, scale=stats.sem(np.mean(scores, axis=0)))
    elif k == 2 and not np.any(has[0] & has[1]):  # Welch's of half the difference of x and -y
        ends = stats.ttest_ind(scores[0], -scores[1], equal_var=False).confidence_interval(0.95)
        low, high = ends.low / 2, ends.high / 2
    else:
        low, high = stats.t.interval(0.95, degrees, loc=mean, scale=error)
    return {"name": name, "tasks": [[[f"{s}", float(v)] for s, v in zip(np.flatnonzero(has[i]), scores[i])]
                                    for i in range(k)],
            "mean": mean, "standard_error": error, "low": float(low), "high": float(high)}


means_over_tasks = [over_tasks("the same seeds", np.ones((2, 3))), over_tasks("the same seeds", np.ones((6, 5))),
                    over_tasks("no seed shared", np.kron(np.eye(2), np.ones((1, 4)))),
                    over_tasks("no seed shared", [[1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1]]),
                    over_tasks("a run missing", [[1, 1, 1], [1, 1, 0], [1, 1, 1]]),
                    over_tasks("more seeds on one", [[1] * 10, [1, 1, 1] + [0] * 7]),
                    over_tasks("a chain", [[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 0, 0, 1]])]

curves = []
for n in [2, 4, 7]:
    size = np.unique(np.round(10 ** rng.uniform(3, 6, n)))
    score = 0.9 - 0.3 * np.exp(-np.log10(size) + 3) + rng.normal(0, 0.002, len(size))
    log = np.log10(size)
    budget = float(np.round(10 ** rng.uniform(log[0], log[-1])))
    curves.append({"size": numbers(size), "score": numbers(score),
                   "area": float(np.trapezoid(score, log) / (log[-1] - log[0])),
                   "budget": budget, "at_budget": float(np.interp(np.log10(budget), log, score))})

with open("statistics.json", "w") as file:
    json.dump({"versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
                            "numpy": np.__version__},
               "beta": beta, "student": student, "quantile": quantile, "normal": normal, "means": means,
               "pairs": pairs, "holm": holm, "means_over_tasks": means_over_tasks, "curves": curves},
              file, separators=(",", ":"))
    file.write("\n")
