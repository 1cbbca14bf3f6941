#pragma once

#include <string>
#include <vector>

#include "experiments/runs/results.h"

namespace rankfold {

inline ResultRow result(const std::string& task, const std::string& method, const std::string& rank,
                        int seed, std::int64_t parameters, double score) {
  ResultRow row;
  row.task = task;
  row.model = "tiny";
  row.method = method;
  row.rank = rank;
  row.seed = std::to_string(seed);
  row.parameters = parameters;
  row.metric = task == "cola" ? "matthews_correlation" : "accuracy";
  row.score = score;
  row.origin = "test";
  return row;
}

/// Two tasks, two methods, two ranks, three seeds, and both references.
inline std::vector<ResultRow> two_tasks() {
  std::vector<ResultRow> rows;
  for (const std::string task : {"cola", "sst2"}) {
    for (int seed = 0; seed < 3; ++seed) {
      rows.push_back(result(task, "lora", "1", seed, 1000, 0.50 + 0.01 * seed));
      rows.push_back(result(task, "lora", "4", seed, 4000, 0.60 + 0.02 * seed));
      rows.push_back(result(task, "lotr", "1", seed, 200, 0.40));
      rows.push_back(result(task, "lotr", "4", seed, 900, 0.55));
      rows.push_back(result(task, "none", "", seed, 0, 0.30));
      rows.push_back(result(task, "full", "", seed, 2359296, 0.70));
    }
  }
  return rows;
}

}  // namespace rankfold
