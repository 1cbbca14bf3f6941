"""Training steps of the papers' hosts beside transformers and PEFT: speed and memory of a step, and that both
sides take the same steps (losses and gradient norms of the first four: a rate of 1e-2 soon leaves a large model
with losses near 0, where rounding decides)."""

import json
import pathlib
import sys
import tempfile

from compare_measure import Failed, median

# Shapes that nothing is downloaded for have random weights on both sides. times: how many times faster ours
# shall be in float32.
HOSTS = [
    {"name": "RoBERTa-base", "batch": 32, "length": 128, "share": 0.90, "times": 1.4, "memory": 3,
     "config": {"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"],
                "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "max_position_embeddings": 514, "type_vocab_size": 1,
                "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}},
    {"name": "DeBERTa-v3-base", "batch": 32, "length": 128, "share": 0.90, "times": 1, "memory": 3,
     "config": {"model_type": "deberta-v2", "architectures": ["DebertaV2ForSequenceClassification"],
                "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "max_position_embeddings": 512, "type_vocab_size": 0,
                "relative_attention": True, "position_buckets": 256, "max_relative_positions": -1,
                "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"],
                "position_biased_input": False, "layer_norm_eps": 1e-7, "pad_token_id": 0}},
    {"name": "SmolLM2-135M", "batch": 8, "length": 256, "share": 0.85, "times": 1.8, "memory": 3,
     "loss": "tokens", "folder": "smollm2"},
    {"name": "Llama, 4 layers of width 2048", "batch": 8, "length": 256, "share": 0.85, "times": 1, "memory": 3,
     "loss": "tokens",
     "config": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000,
                "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 4,
                "num_attention_heads": 32, "num_key_value_heads": 4, "max_position_embeddings": 2048,
                "rms_norm_eps": 1e-5, "tie_word_embeddings": False}},
]


class Host:
    """One of HOSTS, with its folder."""

    def __init__(self, side, host, folder, steps):
        self.side, self.host, self.folder = side, host, folder
        self.loss = ["--loss", host.get("loss", "classification")]
        self.size = ["--batch", str(host["batch"]), "--length", str(host["length"]), "--steps", str(steps)]

    def ours(self, *more):
        return self.side.ours("bench", "step", "--model", self.folder, "--method", "lora", "--rank", "8",
                              *self.size, *self.loss, *more)

    def theirs(self, *more):
        return self.side.theirs("step", "--model", self.folder, *self.size, *self.loss, *more)

    def followed(self, *more):
        """Steps of theirs, taken by ours too: losses and norms of both."""
        with tempfile.TemporaryDirectory() as trace:
            self.side.theirs("trace", "--model", self.folder, "--batch", "4", "--length", "64", *self.loss,
                             "--out", trace, *(["--precision", "bfloat16"] if more else []))
            return self.side.ours("check", "training", trace, "--tolerance", "1e9", *more)


def add_speeds(report, host, work, runs):
    for side, values in runs.items():
        print(f"compare: {work}, {side}: {values}", file=sys.stderr)
    speed = {side: median(values, "tokens_per_second") for side, values in runs.items()}
    memory = {side: median(values, "peak_memory_mib") for side, values in runs.items()}
    for theirs, ours, name, times in [("eager", "ours", "float32, theirs eager", host["times"]),
                                      ("compiled", "ours", "float32, theirs compiled", 1),
                                      ("bf16", "ours bf16", "bfloat16", 1)]:
        if theirs in runs and ours in runs:
            report.faster(f"{work}, {name}: tokens/s", speed[theirs], speed[ours], times)
            report.faster(f"{work}, {name}: peak memory", memory[theirs], memory[ours], host["memory"], " MiB",
                          smaller=True)
    if "ours" not in runs:
        return
    share = median(runs["ours"], "share_of_floor")
    report.add(f"{work}: share of the floor", "-", f"{share:.2f}", target=f"at least {host['share']:.2f}",
               met=round(share, 2) >= host["share"])


def add_trace(report, work, precision, document, limit):
    pairs = [(document["expected"], document["losses"], "loss"),
             (document["expected_norms"], document["norms"], "gradient norm")]
    for theirs, ours, name in pairs:
        theirs, ours = theirs[:4], ours[:4]
        error = max(abs(a - b) / abs(a) for a, b in zip(theirs, ours))
        report.add(f"{work}, {precision}: {name}, first and fourth step, 4 x 64 tokens",
                   f"{theirs[0]:.5f}, {theirs[-1]:.5f}", f"{ours[0]:.5f}, {ours[-1]:.5f}", f"off by {error:.0e}",
                   f"at most {limit:.0e}" if limit else "-", error <= limit if limit else None)


def measure(side, report, rounds, steps, root):
    has_bf16 = side.ours("doctor")["bfloat16"]["available"]
    for host in HOSTS:
        with tempfile.TemporaryDirectory() as temporary:
            if "config" in host:
                folder = temporary
                (pathlib.Path(folder) / "config.json").write_text(json.dumps(host["config"]))
            else:
                folder = str(root / ".cache" / host["folder"])
            this = Host(side, host, folder, steps)
            loss = "language-model loss" if "loss" in host else "classification"
            work = f"{host['name']} step, LoRA r=8 on q, v, {host['batch']} x {host['length']} tokens, {loss}"
            runs = {}
            for _ in range(rounds):
                for name, run in [("ours", lambda: this.ours()), ("eager", lambda: this.theirs()),
                                  ("ours bf16", lambda: this.ours("--precision", "bf16")),
                                  ("bf16", lambda: this.theirs("--precision", "bfloat16")),
                                  ("compiled", lambda: this.theirs("--compile"))]:
                    if "bf16" in name and not has_bf16:
                        continue
                    try:
                        figures = run()
                        runs.setdefault(name, []).append(figures)
                    except Failed as failure:
                        report.failed(f"{work}: {name}", failure)
            add_speeds(report, host, work, runs)
            for precision, more, limit in [("float32", [], 1e-4), ("bfloat16", ["--precision", "bf16"], None)]:
                if more and not has_bf16:
                    continue
                try:
                    add_trace(report, host["name"], precision, this.followed(*more), limit)
                except Failed as failure:
                    report.failed(f"{host['name']}, {precision}: losses and gradient norms", failure)
