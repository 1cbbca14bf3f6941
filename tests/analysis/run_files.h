#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace rankfold {

/// A run.json as `finetune` writes it.
inline nlohmann::json run_document(const std::string& task, const std::string& method, int rank,
                                   int seed, double score) {
  return {
      {"settings",
       {{"task", task},
        {"model", "models/tiny"},
        {"method", method},
        {"rank", rank},
        {"seed", seed},
        {"lr", 0.001},
        {"batch", 8},
        {method + ".init", "published"}}},
      {"status", "done"},
      {"parameters", {{"adapter", 1000 * rank}, {"trainable", 1000 * rank + 2}, {"total", 50000}}},
      {"adapted_layers", 2},
      {"scores", {{"accuracy", score}}},
      {"tokens_per_second", 100.0},
      {"train_seconds", 12.5},
      {"peak_memory_mib", 64.0},
      {"machine", "a machine"},
      {"versions", {{"rankfold", "0.1.0"}}}};
}

inline void write_run(const std::filesystem::path& folder, const nlohmann::json& run) {
  write_atomically(folder / "run.json", run.dump());
}

/// Two methods, two ranks, three seeds.
inline void write_runs(const std::filesystem::path& folder) {
  for (const char* method : {"lora", "lotr"}) {
    for (const int rank : {2, 8}) {
      for (const int seed : {1, 2, 3}) {
        const std::string name = std::string(method) + std::to_string(rank) + std::to_string(seed);
        write_run(folder / name,
                  run_document("sst2", method, rank, seed, 0.5 + 0.01 * rank + 0.001 * seed));
      }
    }
  }
}

}  // namespace rankfold
