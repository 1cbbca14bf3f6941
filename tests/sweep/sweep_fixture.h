#pragma once

#include <string>
#include <vector>

#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/sweep/sweep.h"
#include "temporary_folder.h"

namespace rankfold {

/// Entries from lines "key = value".
inline std::vector<SweepEntry> entries_of(const std::string& lines) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "sweep.txt", lines);
  return read_sweep_file(folder.path / "sweep.txt");
}

inline std::vector<PlannedRun> runs_of(const std::string& lines) {
  const Registry registry = builtin_registry();
  return expand(parse_sweep(entries_of(lines), registry), registry, {}).runs;
}

/// A model folder with nothing but the shape of a tiny BERT.
inline void write_tiny_model(const std::filesystem::path& folder) {
  write_atomically(folder / "config.json",
                   R"({"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2,
                       "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 101,
                       "max_position_embeddings": 64, "type_vocab_size": 2})");
}

}  // namespace rankfold
