"""event_logs.py RANKFOLD: the real TensorBoard and pandas read what rankfold writes.

A tiny sweep is trained; its event files go through TensorBoard's reader and the back end of its HParams tab, and
what `collect` makes of them through pandas. Ends with 1 saying what was wrong.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas
import pyarrow.parquet
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, event_accumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

golden = Path(__file__).resolve().parent.parent / "golden"


class Failure(Exception):
    pass


def expect(found, expected, what):
    if found != expected:
        raise Failure(f"{what}: found {found}, expected {expected}")


def run(rankfold, *arguments):
    done = subprocess.run([rankfold, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"rankfold {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def train(rankfold, folder):
    """Two methods with two seeds each, on a few sentences."""
    model, data, out = folder / "model", folder / "data", folder / "results"
    model.mkdir()
    data.mkdir()
    for name in ("config.json", "model.safetensors"):
        (model / name).write_bytes((golden / "models/bert" / name).read_bytes())
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, 101)]
    (model / "vocab.txt").write_text("\n".join(words) + "\n")
    for name, rows in (("train.tsv", 40), ("dev.tsv", 17)):
        lines = [f"s\t{i % 2}\t\tw{5 + i % 90} w{5 + i * 7 % 90}\n" for i in range(rows)]
        (data / name).write_text("".join(lines))
    run(rankfold, "sweep", "--model", model, "--data", data, "--task", "cola", "--method", "lora,lotr", "--rank", 2,
        "--lr", "1e-2", "--epochs", 2, "--batch", 8, "--max-length", 16, "--seed", "1,2", "--out", out)
    return out


def check_scalars(results):
    """Every run's log in TensorBoard against its run.json."""
    for file in sorted(results.rglob("events.out.tfevents.*")):
        told = json.loads((file.parent / "run.json").read_text())
        log = event_accumulator.EventAccumulator(str(file))
        log.Reload()
        scalars = log.Scalars("eval/matthews_correlation")
        expect(len(scalars), 2, "evaluations")
        last = told["scores"]["matthews_correlation"]
        if not math.isclose(scalars[-1].value, last, rel_tol=1e-6):
            raise Failure(f"{file}: TensorBoard reads {scalars[-1].value}, run.json says {last}")
        count = log.Tensors("parameters/adapter")[0].tensor_proto.double_val[0]
        expect(count, told["parameters"]["adapter"], "parameters/adapter")


def check_hparams(results):
    """The session groups of the HParams tab."""
    runs = plugin_event_multiplexer.EventMultiplexer()
    runs.AddRunsFromDirectory(str(results))
    runs.Reload()
    provider = data_provider.MultiplexerDataProvider(runs, str(results))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request_context = context.RequestContext()
    metadata = backend.hparams_metadata(request_context, "")
    experiment = backend.experiment_from_metadata(request_context, "", True, metadata, [])
    names = {info.name for info in experiment.hparam_infos}
    for name in ("method", "rank", "lr", "seed", "lora.init", "lotr.stack"):
        if name not in names:
            raise Failure(f"the HParams tab lacks {name}: {sorted(names)}")
    metrics = {info.name.tag for info in experiment.metric_infos}
    if not {"eval/matthews_correlation", "parameters/adapter"} <= metrics:
        raise Failure(f"the HParams tab has the metrics {sorted(metrics)}")
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=10, allowed_statuses=[api_pb2.STATUS_SUCCESS], include_metrics=True)
    for info in experiment.metric_infos:
        request.col_params.add().metric.CopyFrom(info.name)
    found = list_session_groups.Handler(request_context, backend, "", request).run()
    expect(found.total_size, 4, "finished sessions")
    values = {(group.hparams["method"].string_value, group.hparams["seed"].number_value)
              for group in found.session_groups}
    expect(values, {(method, seed) for method in ("lora", "lotr") for seed in (1, 2)}, "sessions")
    for group in found.session_groups:
        tags = {value.name.tag for value in group.metric_values}
        if "eval/matthews_correlation" not in tags:
            raise Failure(f"{group.name} has the metrics {sorted(tags)}")


def check_pandas(rankfold, results, folder):
    """What pandas reads: LoTR's rows of the golden tree, and the sweep with its own index."""
    file = folder / "golden.parquet"
    run(rankfold, "collect", golden / "logs/tree", file, "--name", "model", "method", "task", "lr", "rank", "seed")
    frame = pandas.read_parquet(file)
    names = ["model", "method", "task", "lr", "rank", "tag", "step", "seed"]
    expect(list(frame.index.names), names, "index")
    expect(list(frame.columns), ["value"], "columns")
    expected = pandas.read_csv(golden / "logs/expected.csv")
    pandas.testing.assert_frame_equal(frame.reset_index(), expected, check_dtype=False, check_exact=True)
    expect(frame.index.is_monotonic_increasing, True, "sorted")
    metadata = pyarrow.parquet.read_metadata(file)
    expect(metadata.row_group(0).column(0).compression, "ZSTD", "compression")

    run(rankfold, "collect", results, file, "--name", "task", "model", "method", "--index", "tag", "seed")
    frame = pandas.read_parquet(file)
    expect(list(frame.index.names), ["tag", "seed"], "index")
    expect(list(frame.columns)[:5], ["step", "value", "task", "model", "method"], "columns")
    expect(len(frame.loc["eval/matthews_correlation"]), 8, "evaluations")
    expect(str(frame["rank"].dtype), "int64", "type of rank")


def main():
    rankfold = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="rankfold-logs-") as folder:
        results = train(rankfold, Path(folder))
        for check in (check_scalars, check_hparams,
                      lambda results: check_pandas(rankfold, results, Path(folder))):
            check(results)
    print("TensorBoard reads the event files and their hyper-parameters, pandas what collect makes of them")


try:
    main()
except Failure as failure:
    sys.exit(f"event_logs: {failure}")
