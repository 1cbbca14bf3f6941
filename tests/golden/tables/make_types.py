"""Tables of three runs of lora (accuracy 91, 92, 93) with columns of several types: python make_types.py OUT"""

import decimal
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def runs(scores=(0.91, 0.92, 0.93)):
    rows = []
    for seed, score in zip((1, 2, 3), scores):
        for tag, step, value in (
            ("parameters/adapter", 0, 1000.0),
            ("eval/accuracy", 10, 0.5),
            ("eval/accuracy", 20, score),
        ):
            rows.append(
                dict(task="sst2", model="tiny", method="lora", rank=8, seed=seed, tag=tag, step=step, value=value)
            )
    return pd.DataFrame(rows)


out = sys.argv[1]
category = runs()
category["seed"] = category.seed.astype("category")
category["method"] = category.method.astype("category")
category.to_parquet(f"{out}/category.parquet")
rate = runs()
rate["lr"] = [decimal.Decimal("0.0010")] * len(rate)
rate.to_parquet(f"{out}/decimal.parquet")
rate["lr"] = np.float32(1e-3)
rate.to_parquet(f"{out}/float32-rate.parquet")
named = runs()
named.index = pd.Index(range(5, 5 + len(named)), name="row")
pq.write_table(pa.Table.from_pandas(named, preserve_index=True), f"{out}/named-index.parquet")
precision = runs()
precision["precision"] = np.where(precision.seed == 3, "bf16", "f32")
precision.to_parquet(f"{out}/precision.parquet")
targets = runs()
targets["targets"] = [["q", "v"]] * len(targets)
targets.to_parquet(f"{out}/list.parquet")
twice = pd.concat([runs(), runs((0.81, 0.82, 0.83))], ignore_index=True)
twice.to_parquet(f"{out}/twice-differs.parquet")
