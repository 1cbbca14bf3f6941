"""make_forms.py FOLDER: scalars in every form that writers use, in one event file, and what they are."""

import csv
import sys
from pathlib import Path

import numpy as np
import tensorboardX
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util
from torch.utils.tensorboard import SummaryWriter

numbers = {
    "half": (np.float16, -1.5), "half_small": (np.float16, 6e-8), "float": (np.float32, 0.7),
    "double": (np.float64, 1e-300), "int8": (np.int8, -7), "uint8": (np.uint8, 200),
    "int16": (np.int16, -300), "uint16": (np.uint16, 60000), "int32": (np.int32, -70000),
    "uint32": (np.uint32, 4000000000), "int64": (np.int64, -2**40), "uint64": (np.uint64, 2**60),
    "bool": (np.bool_, True),
}
rows = []


def expect(tag, step, value):
    rows.append((tag, step, repr(float(value))))


def by_torch(out):
    writer = SummaryWriter(str(out))
    for tag, step, value in (("torch/simple", 3, 0.1), ("torch/nan", 6, float("nan")),
                             ("torch/inf", 7, float("-inf")), ("torch/negative step", -2, 1.5)):
        writer.add_scalar(tag, value, step)
        expect(tag, step, np.float32(value))
    writer.add_scalar("torch/new_style", 0.2, 4, new_style=True)
    expect("torch/new_style", 4, np.float32(0.2))
    writer.add_scalar("torch/double", 0.3, 5, new_style=True, double_precision=True)
    expect("torch/double", 5, 0.3)
    writer.add_text("text", "not a scalar", 8)
    writer.add_histogram("histogram", np.arange(10.0), 8)
    writer.add_image("image", np.zeros((3, 2, 2), np.uint8), 8)
    writer.add_pr_curve("pr", np.array([0, 1]), np.array([0.2, 0.8]), 8)
    writer.add_hparams({"lr": 0.1}, {"hparam/score": 0.5}, run_name=".")
    expect("hparam/score", 0, 0.5)
    writer.close()


def by_tensorboard(out):
    writer = EventFileWriter(str(out))

    def put(step, *values):
        writer.add_event(event_pb2.Event(wall_time=1.7e9, step=step,
                                         summary=summary_pb2.Summary(value=values)))

    def value(tag, tensor, **more):
        return summary_pb2.Summary.Value(tag=tag, tensor=tensor, **more)

    for step, (name, (dtype, number)) in enumerate(numbers.items(), 100):
        array = np.array(number, dtype)
        typed = tensor_util.make_tensor_proto(array)
        content = tensor_pb2.TensorProto(dtype=typed.dtype, tensor_content=array.tobytes())
        content.tensor_shape.SetInParent()
        put(step, value(f"typed/{name}", typed))
        put(step, value(f"content/{name}", content))
        put(step, value(f"one/{name}", tensor_util.make_tensor_proto(array.reshape(1, 1))))
        put(step, value(f"two/{name}", tensor_util.make_tensor_proto(np.array([number] * 2, dtype))))
        for form in ("typed", "content", "one"):
            expect(f"{form}/{name}", step, array)
    put(150, value("typed/bfloat16", tensor_pb2.TensorProto(dtype=types_pb2.DT_BFLOAT16,
                                                            half_val=[0x3fc0])))
    expect("typed/bfloat16", 150, 1.5)
    put(151, value("string", tensor_util.make_tensor_proto("text")))
    # As tf.summary.scalar does.
    put(152, value("tf.summary", tensor_util.make_tensor_proto(np.float32(0.9)),
                   metadata=scalar_metadata.create_summary_metadata("", "")))
    expect("tf.summary", 152, np.float32(0.9))
    put(200, summary_pb2.Summary.Value(tag="many/a", simple_value=1),
        summary_pb2.Summary.Value(tag="many/b", simple_value=2))
    expect("many/a", 200, 1)
    expect("many/b", 200, 2)
    writer.close()


def by_tensorboardx(out):
    writer = tensorboardX.SummaryWriter(str(out))
    writer.add_scalar("tensorboardX/simple", 0.6, 9)
    expect("tensorboardX/simple", 9, np.float32(0.6))
    writer.add_text("tensorboardX/text", "no scalar", 9)
    writer.close()


out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
by_torch(out)
by_tensorboard(out)
by_tensorboardx(out)
files = sorted(out.glob("events*"), key=lambda file: file.stat().st_mtime)
together = b"".join(file.read_bytes() for file in files)
for file in files:
    file.unlink()
(out / "events.out.tfevents.1700000000.forms.0").write_bytes(together)
with open(out / "expected.csv", "w") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([("tag", "step", "value"), *rows])
