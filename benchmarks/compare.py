"""rankfold beside torch, transformers and PEFT, measured in one run and printed as a Markdown table.

Every measurement is a process of its own; rounds alternate between ours and theirs, so that noise of the
machine meets both. Figures are medians over the rounds; a ratio says how many times better ours is. Start it
through benchmarks/compare, which builds and makes the environment.
"""

import argparse
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import compare_growth
import compare_hosts
from compare_measure import Failed, Side, median, print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
MINILM = str(ROOT / ".cache" / "minilm")
PARTS = ["layer", "minilm", "bert", "hosts", "tasks", "methods", "floor", "growth"]
# Their gradient needs no dense dY^T X and little else: the first four; `full` has no target.
CHEAP = ["lora", "lotr", "lorta", "loretta_rep"]
PEFT_METHODS = ["lora", "dora", "loha", "lokr"]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


class Report:
    """The rows of the table."""

    def __init__(self):
        self.rows = []

    def add(self, work, theirs, ours, ratio="-", target="-", met=None):
        if met is not None:
            target += " (met)" if met else " (missed)"
        self.rows.append([work, theirs, ours, ratio, target])

    def failed(self, work, failure):
        self.add(work, "-", f"failed: {failure}")

    def faster(self, work, theirs, ours, times, unit="", smaller=False):
        """A row whose target is a ratio: how many times more (or, `smaller`, less) ours is."""
        ratio = theirs / ours if smaller else ours / theirs
        words = "times less" if smaller else "times"
        self.add(work, number(theirs) + unit, number(ours) + unit, f"{ratio:.2f}",
                 f"{times} {words}", round(ratio, 2) >= times)

    def print(self):
        print_table([["work", "theirs", "ours", "ratio", "target"], *self.rows])


class Comparison:
    def __init__(self, options):
        self.options = options
        self.side = Side(ROOT, options.threads)
        self.report = Report()
        self.rounds = options.rounds
        self.steps = 3 if options.quick else 7
        registered = self.side.ours("methods")["methods"]
        self.methods = [method["name"] for method in registered]
        self.without_rank = [method["name"] for method in registered if not method["rank"]]
        self.shares = {}  # model -> shares of the floor of our LoRA steps
        self.profiles = {}

    def run(self, part):
        print(f"compare: {part}", file=sys.stderr)
        try:
            getattr(self, f"measure_{part}")()
        except Failed as failure:
            print(f"compare: {failure}", file=sys.stderr)
            self.report.failed(part, failure)

    def our_step(self, model, method, *more):
        rank = [] if method in self.without_rank else ["--rank", "8"]
        return self.side.ours("bench", "step", "--model", model, "--method", method, *rank, "--batch",
                              "32", "--length", "128", "--steps", str(self.steps), *more)

    def our_lora_step(self, model, *more):
        figures = self.our_step(model, "lora", *more)
        if not more:
            self.shares.setdefault(model, []).append(figures["share_of_floor"])
            self.profiles[model] = figures
        return figures

    def their_step(self, model, precision="float32"):
        return self.side.theirs("step", "--model", model, "--precision", precision, "--steps",
                                str(self.steps))

    def measure_layer(self):
        ours, theirs = {}, {}
        for _ in range(self.rounds):
            document = self.side.ours("bench", "layer", "--width", "768", "--tokens", "4096", "--rank", "8",
                                      "--rounds", str(self.steps))
            for row in document["rows"]:
                ours.setdefault(row["method"], []).append(row["overhead"])
            for method in PEFT_METHODS:
                figures = self.side.theirs("layer", "--method", method, "--steps", str(self.steps))
                theirs.setdefault(method, []).append(figures["overhead"])
        for method in sorted({*ours, *theirs}, key=lambda name: (name not in CHEAP, name)):
            peft, mine = median(theirs.get(method)), median(ours.get(method))
            limit = None if method in ("full", "none") else 1.10 if method in CHEAP else 1.25
            target = f"at most {limit:.2f}" if limit else "-"
            if method == "full":
                target = "none; its floor is about 1.5"
            self.report.add(
                f"768 x 768 layer over its frozen one, 4096 tokens: {method}"
                + ("" if method in self.without_rank else " r=8"),
                f"{peft:.2f}" if peft else "-",
                f"{mine:.2f}" if mine else "-",
                f"{peft / mine:.2f}" if peft and mine else "-",
                target,
                round(mine, 2) <= limit if mine and limit else None,
            )

    def measure_minilm(self):
        ours, theirs = [], []
        for _ in range(self.rounds):
            ours.append(self.our_lora_step(MINILM))
            theirs.append(self.their_step(MINILM))
        work = "MiniLM step, LoRA r=8 on q, v, 32 x 128 tokens, float32"
        speeds = [median(side, "tokens_per_second") for side in (theirs, ours)]
        memory = [median(side, "peak_memory_mib") for side in (theirs, ours)]
        self.report.faster(f"{work}: tokens/s", *speeds, 2.7)
        self.report.faster(f"{work}: peak memory", *memory, 4, " MiB", smaller=True)

    def measure_bert(self):
        has_bf16 = self.side.ours("doctor")["bfloat16"]["available"]
        ours, ours_bf16, theirs, theirs_bf16 = [], [], [], []
        for _ in range(self.rounds):
            ours.append(self.our_lora_step("bert-base-uncased"))
            theirs.append(self.their_step("bert-base"))
            if has_bf16:
                ours_bf16.append(self.our_lora_step("bert-base-uncased", "--precision", "bf16"))
            theirs_bf16.append(self.their_step("bert-base", "bfloat16"))
        work = "BERT-base step (random weights), LoRA r=8 on q, v, 32 x 128 tokens"
        speed = {name: median(side, "tokens_per_second")
                 for name, side in [("ours", ours), ("theirs", theirs), ("bf16", theirs_bf16)]}
        memory = {name: median(side, "peak_memory_mib")
                  for name, side in [("ours", ours), ("theirs", theirs), ("bf16", theirs_bf16)]}
        self.report.faster(f"{work}, float32: tokens/s", speed["theirs"], speed["ours"], 2.1)
        self.report.faster(f"{work}, theirs bfloat16, ours float32: tokens/s", speed["bf16"],
                           speed["ours"], 1)
        self.report.faster(f"{work}, float32: peak memory", memory["theirs"], memory["ours"], 3, " MiB",
                           smaller=True)
        if has_bf16:
            fast, small = median(ours_bf16, "tokens_per_second"), median(ours_bf16, "peak_memory_mib")
            self.report.add(f"{work}, bfloat16: tokens/s", number(speed["bf16"]), number(fast),
                            f"{fast / speed['bf16']:.2f}")
            self.report.add(f"{work}, bfloat16: peak memory", f"{number(memory['bf16'])} MiB",
                            f"{number(small)} MiB", f"{memory['bf16'] / small:.2f}")

    def measure_hosts(self):
        compare_hosts.measure(self.side, self.report, self.rounds, self.steps, ROOT)

    def measure_tasks(self):
        if not self.options.glue:
            print("compare: tasks are left out: no --glue DIR, no RANKFOLD_GLUE", file=sys.stderr)
            self.report.add("MiniLM end to end on SST-2 and CoLA", "-", "left out: no GLUE folder was given")
            return
        for task, name, times in [("sst2", "SST-2", 5), ("cola", "CoLA", 4)]:
            rows = self.options.max_train or (8000 if task == "sst2" else 0)
            ours, theirs = [], []
            for _ in range(self.rounds):
                with tempfile.TemporaryDirectory() as folder:
                    ours.append(self.side.ours(
                        "finetune", "--model", MINILM, "--data", self.options.glue, "--task", task,
                        "--method", "lora", "--rank", "8", "--lr", "5e-4", "--epochs", "1", "--batch", "32",
                        "--max-train", str(rows), "--out", os.path.join(folder, "run")))
                theirs.append(self.side.theirs("train", "--model", MINILM, "--data", self.options.glue,
                                               "--task", task, "--max-train", str(rows)))
            size = f"first {rows:,} rows" if rows else "all rows"
            self.report.faster(f"MiniLM on {name} ({size}), LoRA r=8, 1 epoch, batch 32: real tokens/s",
                               median(theirs, "tokens_per_second"), median(ours, "tokens_per_second"), times)

    def measure_methods(self):
        """Every method's step over the LoRA step before it."""
        ratios, failures = {}, {}
        for _ in range(self.rounds):
            for method in self.methods:
                if method == "lora" or method in failures:
                    continue
                lora = self.our_lora_step(MINILM)["step_ms"]
                try:
                    ratios.setdefault(method, []).append(self.our_step(MINILM, method)["step_ms"] / lora)
                except Failed as failure:
                    failures[method] = failure
        for method, failure in failures.items():
            ratios.pop(method)
            self.report.failed(f"MiniLM step, {method} over our LoRA r=8", failure)
        for method in sorted(ratios, key=lambda name: (name not in CHEAP, name)):
            over = median(ratios[method])
            rank = "" if method in self.without_rank else " r=8"
            limited = method in CHEAP
            self.report.add(f"MiniLM step, {method}{rank} over our LoRA r=8", "-", f"{over:.2f}",
                            target="at most 1.05" if limited else "-",
                            met=round(over, 2) <= 1.05 if limited else None)

    def measure_floor(self):
        for model, name in [(MINILM, "MiniLM"), ("bert-base-uncased", "BERT-base")]:
            while len(self.shares.get(model, [])) < self.rounds:
                self.our_lora_step(model)
            share = median(self.shares[model])
            last = self.profiles[model]
            self.report.add(
                f"{name} step, LoRA r=8: share of the floor ({last['flops'] / 1e9:.0f} GFLOP at "
                f"{last['large_sgemm_gflops']:.0f} GFLOP/s)",
                "-", f"{share:.2f}", target="at least 0.65", met=round(share, 2) >= 0.65)
            shares = ", ".join(f"{kind.replace('_', ' ')} {100 * part:.0f} %"
                               for kind, part in last["profile"].items())
            self.report.add(f"{name} step, LoRA r=8: time by kind of work", "-", shares)

    def measure_growth(self):
        for label, exponent, points, limited in compare_growth.measure(self.side, self.rounds,
                                                                       self.options.quick):
            self.report.add(f"growth with {label}: {points}", "-", f"exponent {exponent:.2f}",
                            target="at most 1.05" if limited else "-",
                            met=round(exponent, 2) <= 1.05 if limited else None)

    def print_machine(self, load):
        doctor = self.side.ours("doctor")
        versions = self.side.theirs("versions")
        blas = doctor["blas"]
        threads = "1 thread" if versions["threads"] == 1 else f"{versions['threads']} threads"
        print("## rankfold beside torch, transformers and PEFT\n")
        print(f"- machine: {doctor['cpu']}, {doctor['processors']} processors, {doctor['memory_mib']} MiB, "
              f"{platform.system()} {platform.release()}; load {load:.1f} at the start")
        print(f"- ours: rankfold {doctor['rankfold']}, {doctor['compiler']}, {threads}, "
              f"kernels {doctor['own_kernels']} (double: {blas['configuration']})")
        print(f"- theirs: torch {versions['torch']}, transformers {versions['transformers']}, "
              f"peft {versions['peft']}, tensorly {versions['tensorly']}, numpy {versions['numpy']}, "
              f"Python {platform.python_version()}, {threads}")
        print("- OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE were unset")
        rounds = f"{self.rounds} rounds" if self.rounds > 1 else "1 round"
        print(f"- medians of {rounds}, ours and theirs in turns; ratio: how many times better ours is\n")


def parse_options():
    parser = argparse.ArgumentParser(prog="benchmarks/compare", description=__doc__)
    parser.add_argument("--only", metavar="PART", action="append", default=[],
                        help="measure this part alone; repeatable, or with commas: " + ", ".join(PARTS))
    parser.add_argument("--rounds", metavar="N", type=int, help="measurements of each side; default 3")
    parser.add_argument("--glue", metavar="DIR", default=os.environ.get("RANKFOLD_GLUE", ""),
                        help="folder with SST-2/ and CoLA/ for the part tasks; default $RANKFOLD_GLUE")
    parser.add_argument("--max-train", metavar="N", type=int, default=0,
                        help="rows of each task; default: 8000 of SST-2, all of CoLA")
    parser.add_argument("--threads", metavar="N", type=int, default=len(os.sched_getaffinity(0)),
                        help="of both sides; default: all processors")
    parser.add_argument("--quick", action="store_true",
                        help="one round, fewer steps and points, 1000 rows of each task")
    options = parser.parse_args()
    options.only = [part.strip() for parts in options.only for part in parts.split(",")]
    for part in options.only:
        if part not in PARTS:
            parser.error(f"--only {part}: expected one of {', '.join(PARTS)}")
    options.rounds = options.rounds if options.rounds is not None else 1 if options.quick else 3
    if options.rounds < 1 or options.threads < 1 or options.max_train < 0:
        parser.error("--rounds and --threads must be 1 or more, --max-train 0 or more")
    if options.quick and not options.max_train:
        options.max_train = 1000
    if options.glue and not os.path.isdir(os.path.join(options.glue, "SST-2")):
        parser.error(f"--glue {options.glue}: found no folder SST-2 in it")
    return options


def main():
    options = parse_options()
    load = os.getloadavg()[0]
    begin = time.time()
    comparison = Comparison(options)
    for part in PARTS:
        if not options.only or part in options.only:
            comparison.run(part)
    comparison.print_machine(load)
    comparison.report.print()
    print(f"\nTook {(time.time() - begin) / 60:.0f} minutes.")
    return 1 if any("failed" in row[2] for row in comparison.report.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
