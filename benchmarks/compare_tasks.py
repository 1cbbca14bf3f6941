"""Scores of rankfold beside those of torch, transformers and PEFT after the same training.

Both sides train LoRA of rank 8 on queries and values on the same rows, with the same batch, schedule, rate,
epochs, length and dropout, for every seed; seeds draw other numbers on either side, so that scores agree as
those of two sets of seeds do. The table has means and standard deviations over the seeds, the difference of
the means, and its Welch interval of 95 %: a difference lies within the spread of the seeds where the interval
holds 0. Start it through benchmarks/compare_tasks, which builds and makes the environment.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

from compare_measure import Failed, Side, print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
RANK = 8


@dataclasses.dataclass
class Protocol:
    model: str
    rate: str
    epochs: int
    rows: int = 0  # of the training set, 0: all
    batch: int = 32
    metrics: tuple = ("accuracy",)
    prompt: str = ""


TASKS = {
    "cola": Protocol("minilm", "2e-3", 2, metrics=("matthews_correlation",)),
    "stsb": Protocol("minilm", "2e-3", 3, metrics=("pearson", "spearman")),
    "sst2": Protocol("minilm", "2e-3", 2, rows=4000),
    "sst2-prompt": Protocol("smollm2", "5e-4", 1, rows=1000, batch=16, prompt="{text} It was {label}"),
}


def write_prompt_table(data, folder, rows):
    """train.tsv and dev.tsv of text and label: rows of SST-2 drawn once, and all of its dev part."""
    from glue_rows import read_rows

    names = ["terrible", "great"]
    parts = {"train": random.Random(0).sample(read_rows("sst2", data, "train"), rows),
             "dev": read_rows("sst2", data, "dev")}
    for part, examples in parts.items():
        lines = [f"{text.strip()}\t{names[int(label)]}\n" for (text,), label in examples]
        (folder / f"{part}.tsv").write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")


def compare_runs(side, name, protocol, options, work):
    """Every seed's run of both sides: {side: [{seed, scores, loss, seconds}]}."""
    rows = min(filter(None, (protocol.rows, options.max_train)), default=0)
    model = str(ROOT / ".cache" / protocol.model)
    common = ["--model", model, "--rank", str(RANK), "--lr", protocol.rate, "--epochs", str(protocol.epochs),
              "--batch", str(protocol.batch)]
    if protocol.prompt:
        write_prompt_table(options.data, work, rows)
        ours = ["--task", str(work / "train.tsv"), "--dev", str(work / "dev.tsv"), "--prompt", protocol.prompt]
        theirs = ["prompt", "--data", str(work), "--prompt", protocol.prompt]
    else:
        common += ["--data", options.data, "--task", name, "--max-train", str(rows)]
        ours, theirs = [], ["head"]
    runs = {"ours": [], "theirs": []}
    for seed in options.seeds:
        start = time.time()
        run = side.ours("finetune", *common, *ours, "--method", "lora", "--targets", "q,v", "--seed", str(seed),
                        "--out", str(work / f"run-{seed}"))
        runs["ours"].append({"seed": seed, "scores": run["scores"], "loss": run["epochs"][-1]["loss"],
                             "trained": run["parameters"]["trainable"], "seconds": time.time() - start})
        run = side.theirs(*theirs, *common, "--seed", str(seed))
        runs["theirs"].append({"seed": seed, **run})
        for who, done in runs.items():
            scores = ", ".join(f"{metric} {score:.4f}" for metric, score in done[-1]["scores"].items())
            print(f"compare_tasks: {name}, seed {seed}, {who}: {scores}, loss {done[-1]['loss']:.4f}, "
                  f"{done[-1]['seconds']:.0f} s", file=sys.stderr)
    if len({run["trained"] for done in runs.values() for run in done}) != 1:
        raise Failed(f"{name}: the sides train {runs['ours'][0]['trained']} and {runs['theirs'][0]['trained']} numbers")
    return runs


def welch_interval(ours, theirs):
    """Of 95 %, of the difference of two means (Welch 1947, degrees of freedom of Satterthwaite)."""
    import scipy.stats

    if min(len(ours), len(theirs)) < 2:
        return None
    difference = statistics.mean(ours) - statistics.mean(theirs)
    parts = [statistics.variance(values) / len(values) for values in (ours, theirs)]
    if sum(parts) == 0:
        return difference, difference
    freedom = sum(parts) ** 2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, (ours, theirs)))
    half = float(scipy.stats.t.ppf(0.975, freedom)) * sum(parts) ** 0.5
    return difference - half, difference + half


def spread(values):
    mean = f"{statistics.mean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def judge(runs, metric):
    values = {who: [run["loss"] if metric == "loss" else run["scores"][metric] for run in done]
              for who, done in runs.items()}
    interval = welch_interval(values["ours"], values["theirs"])
    return {
        "metric": metric, **values,
        "difference": statistics.mean(values["ours"]) - statistics.mean(values["theirs"]),
        "interval": interval,
        "within": interval[0] <= 0 <= interval[1] if interval else None,
    }


def row(task, judged):
    interval, within = judged["interval"], judged["within"]
    return [task, judged["metric"].replace("_", " "), spread(judged["ours"]), spread(judged["theirs"]),
            f"{judged['difference']:+.4f}", f"{interval[0]:+.4f} to {interval[1]:+.4f}" if interval else "-",
            {True: "yes", False: "no", None: "-"}[within]]


def parse_options():
    parser = argparse.ArgumentParser(prog="benchmarks/compare_tasks", description=__doc__)
    parser.add_argument("--data", metavar="DIR", default=os.environ.get("RANKFOLD_GLUE", ""),
                        help="folder with GLUE's CoLA/, STS-B/ and SST-2/; default $RANKFOLD_GLUE")
    parser.add_argument("--tasks", metavar="LIST", default=",".join(TASKS), help="default: %(default)s")
    parser.add_argument("--seeds", metavar="LIST", default="1,2,3", help="default: %(default)s")
    parser.add_argument("--max-train", metavar="N", type=int, default=0,
                        help="at most so many rows of each; default: 4000 of sst2, 1000 of sst2-prompt, all others")
    parser.add_argument("--epochs", metavar="N", type=int, help="of each task, in place of its own")
    parser.add_argument("--threads", metavar="N", type=int, default=min(2, len(os.sched_getaffinity(0))),
                        help="of both sides; default: %(default)s")
    parser.add_argument("--out", metavar="FILE", help="all runs and intervals as JSON")
    options = parser.parse_args()
    options.tasks = options.tasks.split(",")
    for task in options.tasks:
        if task not in TASKS:
            parser.error(f"--tasks {task}: expected some of {', '.join(TASKS)}")
    try:
        options.seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        parser.error(f"--seeds {options.seeds}: expected whole numbers, divided by commas")
    if options.threads < 1 or options.max_train < 0 or (options.epochs is not None and options.epochs < 1):
        parser.error("--threads and --epochs must be 1 or more, --max-train 0 or more")
    if not options.data:
        parser.error("--data is missing: expected the folder with GLUE's tasks")
    return options


def main():
    options = parse_options()
    side = Side(ROOT, options.threads, "train_torch.py")
    begin, rows, document, failed = time.time(), [], {}, False
    for name in options.tasks:
        protocol = TASKS[name]
        if options.epochs:
            protocol.epochs = options.epochs
        try:
            with tempfile.TemporaryDirectory() as work:
                runs = compare_runs(side, name, protocol, options, pathlib.Path(work))
        except Failed as failure:
            print(f"compare_tasks: {failure}", file=sys.stderr)
            rows.append([name, "", f"failed: {failure}", "-", "-", "-", "-"])
            failed = True
            continue
        judged = [judge(runs, metric) for metric in (*protocol.metrics, "loss")]
        rows += [row(name, one) for one in judged]
        document[name] = {"protocol": dataclasses.asdict(protocol), "rank": RANK, "max_train": options.max_train,
                          "threads": options.threads, "runs": runs, "compared": judged}
        if options.out:
            pathlib.Path(options.out).write_text(json.dumps(document, indent=1) + "\n")
    print_table([["task", "", "rankfold", "torch, PEFT", "difference", "95 %", "within"], *rows])
    print(f"\n{len(options.seeds)} seeds a side; loss: of the last epoch; took {(time.time() - begin) / 60:.0f} minutes.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
