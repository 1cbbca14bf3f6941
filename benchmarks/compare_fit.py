"""rankfold fit beside numpy and TensorLy on one stack of updates, printed as a Markdown table.

The stack is drawn here: directions that all matrices share, directions of each one's own, both with a decaying
spectrum, and noise. Every measurement is a process of its own; rounds alternate between ours and theirs, so
that noise of the machine meets both. Times are medians over the rounds and leave out reading and writing on
both sides. Errors are relative Frobenius norms over the whole stack; a fit that depends on its start shows the
best of theirs against the worst of ours. Needs numpy and tensorly beside a release build:

    python benchmarks/compare_fit.py [--rounds N] [--threads N] [--input FILE.npy]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from compare_measure import Failed, Side, median, print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
RANK = 8
SHAPE = [8, 8, 12, 8, 8, 12]
CP_SWEEPS = 30
PAIRS = {  # theirs -> the words of ours
    "svd": ["lora"],
    "partial_tucker": ["lotr"],
    "cp": ["tenslora", "--set", "layout=depth", "kind=cp"],
    "tensor_train": ["tt_lora", "--set", "shape=" + ",".join(map(str, SHAPE))],
}
NAMES = {"svd": "numpy SVD", "partial_tucker": "TensorLy partial Tucker",
         "cp": f"TensorLy CP, {CP_SWEEPS} sweeps", "tensor_train": "TensorLy TT"}
TIMES, ABOVE = 20, 1.001


def make_input(path, layers=24, side=768, directions=48):
    import numpy

    random = numpy.random.default_rng(7)

    def orthonormal():
        return numpy.linalg.qr(random.standard_normal((side, directions)))[0]

    shared_out, shared_in = orthonormal(), orthonormal()
    spectrum = 0.8 ** numpy.arange(directions)
    updates = numpy.empty((layers, side, side), numpy.float32)
    for layer in range(layers):
        core = 0.3 * numpy.sqrt(numpy.outer(spectrum, spectrum)) * random.standard_normal((directions, directions))
        core += numpy.diag(spectrum * (1 + 0.5 * random.standard_normal(directions)))
        own = (orthonormal() * spectrum) @ orthonormal().T
        updates[layer] = shared_out @ core @ shared_in.T + 0.5 * own + 0.002 * random.standard_normal((side, side))
    numpy.save(path, updates)


def fit_svd(updates, _):
    import numpy

    left, values, right = numpy.linalg.svd(updates, full_matrices=False)
    return lambda: (left[:, :, :RANK] * values[:, None, :RANK]) @ right[:, :RANK]


def fit_partial_tucker(updates, _):
    import tensorly
    from tensorly.decomposition import partial_tucker

    (core, factors), _ = partial_tucker(updates, rank=[RANK, RANK], modes=[1, 2])
    return lambda: tensorly.tenalg.multi_mode_dot(core, factors, modes=[1, 2])


def fit_cp(updates, seed):
    import tensorly
    from tensorly.decomposition import parafac

    factors = parafac(updates, RANK, n_iter_max=CP_SWEEPS, init="random", random_state=seed)
    return lambda: tensorly.cp_to_tensor(factors)


def fit_tensor_train(updates, _):
    import numpy
    import tensorly
    from tensorly.decomposition import tensor_train

    side = updates.shape[1]  # rows are (in, out), as tt_lora reads them
    trains = [tensor_train(matrix.T.reshape(SHAPE), RANK) for matrix in updates]
    return lambda: numpy.stack([tensorly.tt_to_tensor(train).reshape(-1, side).T for train in trains])


def run_theirs(name, path, seed):
    """One fit in this process, as JSON."""
    import numpy

    updates = numpy.load(path)
    fit = globals()["fit_" + name]
    fit(updates[:, :96, :96] if name != "tensor_train" else updates[:1], seed)  # imports and buffers
    start = time.perf_counter()
    reconstruct = fit(updates, seed)
    seconds = time.perf_counter() - start
    difference = numpy.linalg.norm((updates - reconstruct()).astype(numpy.float64))
    error = difference / numpy.linalg.norm(updates.astype(numpy.float64))
    print(json.dumps({"seconds": seconds, "relative_error": float(error)}))


class FitSide(Side):
    def ours(self, *words):
        return self._document([self._program, *words, *self.threads, "--json"])

    def theirs(self, *words):
        environment = dict(self._environment, OMP_NUM_THREADS=self.threads[1], OPENBLAS_NUM_THREADS=self.threads[1])
        done = subprocess.run([sys.executable, __file__, *words], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(words)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
        return json.loads(done.stdout)


def compare(path, options):
    side = FitSide(ROOT, options.threads)
    rows = [["theirs", "ours", "theirs s", "ours s", "ratio", "theirs error", "ours error", "target"]]
    for name, words in PAIRS.items():
        print(f"compare: {name}", file=sys.stderr)
        theirs, ours = [], []
        try:
            for turn in range(options.rounds):
                ours.append(side.ours("fit", "--input", path, "--rank", str(RANK), "--seed", str(turn), "--method",
                                      *words))
                theirs.append(side.theirs("--one", name, "--input", path, "--seed", str(turn)))
        except Failed as failure:
            rows.append([NAMES[name], f"failed: {failure}", *["-"] * 6])
            continue
        seconds = [median(each, "seconds") for each in (theirs, ours)]
        errors = [min(each["relative_error"] for each in theirs), max(each["relative_error"] for each in ours)]
        ratio = seconds[0] / seconds[1]
        met = ratio >= TIMES and errors[1] <= ABOVE * errors[0]
        rows.append([NAMES[name], " ".join(word for word in words if word != "--set"), f"{seconds[0]:.3f}",
                     f"{seconds[1]:.4f}", f"{ratio:.1f}", f"{errors[0]:.6f}", f"{errors[1]:.6f}",
                     f"{TIMES} times, error at most 0.1 % above ({'met' if met else 'missed'})"])
    print_table(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--input", help="a .npy array (layers, 768, 768); default: drawn")
    parser.add_argument("--one", choices=list(PAIRS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_theirs(options.one, options.input, options.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.input
        if not path:
            path = os.path.join(folder, "updates.npy")
            make_input(path)
        compare(path, options)
    load = os.getloadavg()[0]
    print(f"\n{options.threads} threads, {options.rounds} rounds; load average at the end {load:.1f}")


if __name__ == "__main__":
    main()
