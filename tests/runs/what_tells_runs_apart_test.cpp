#include <gtest/gtest.h>

#include <fstream>

#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_identity.h"
#include "experiments/runs/run_paths.h"
#include "experiments/runs/run_result.h"
#include "experiments/runs/settings.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

std::vector<std::string> two_values(const SettingSpec& spec) {
  if (spec.name == "task") return {"cola", "sst2"};
  if (spec.name == "method") return {"lora", "lorta"};
  if (spec.name == "layers") return {"first:1", "first:2"};
  if (spec.name == "targets") return {"q,v", "k"};
  if (spec.name == "max-train") return {"0", "64"};
  if (!spec.choices.empty()) return {spec.choices[0], spec.choices[1]};
  if (spec.kind == SettingKind::number) return {"0.25", "0.5"};
  if (spec.kind == SettingKind::count || spec.kind == SettingKind::rank) return {"2", "3"};
  if (spec.kind == SettingKind::folder) return {"/one", "/two"};
  return {"one", "two"};
}

/// Two runs that differ in one setting.
std::vector<RunSettings> two_runs(const SettingSpec& spec) {
  const Registry registry = builtin_registry();
  std::vector<RunSettings> runs;
  for (const std::string& value : two_values(spec)) {
    RunSettings run;
    run.values = {{"model", "/model"}, {"data", "/data"}, {"task", "cola"}, {"method", "lora"},
                  {"rank", "8"},       {"lr", "1e-3"},    {"threads", "1"}};
    run.values[spec.name] = value;
    runs.push_back(canonical(run, &registry.at(run.text("method"))));
  }
  return runs;
}

std::size_t counted_runs(const std::filesystem::path& source) {
  Results results = read_results(source);
  settle_results(results);
  return results.rows.size();
}

// The table of settings is the only place that knows what tells runs apart: whoever compares runs
// must agree with it about every setting.

TEST(WhatTellsRunsApart, IsTheSameForTheSettingsOfARun) {
  const Registry registry = builtin_registry();
  for (const SettingSpec& spec : run_settings()) {
    const std::vector<RunSettings> runs = two_runs(spec);
    EXPECT_EQ(identity(runs[0], registry) == identity(runs[1], registry), spec.incidental)
        << spec.name;
  }
}

TEST(WhatTellsRunsApart, IsTheSameForTheFoldersOfASweep) {
  const Registry registry = builtin_registry();
  for (const SettingSpec& spec : run_settings()) {
    const std::vector<RunSettings> runs = two_runs(spec);
    RunPaths paths(registry);
    for (const RunSettings& run : runs) paths.add(run);
    EXPECT_EQ(paths.path(runs[0]) == paths.path(runs[1]), spec.incidental) << spec.name;
  }
}

TEST(WhatTellsRunsApart, IsTheSameForRunFiles) {
  for (const SettingSpec& spec : run_settings()) {
    const TemporaryFolder folder;
    RunResult result;
    result.status = "done";
    result.scores = {{"accuracy", 0.5}};
    for (const RunSettings& run : two_runs(spec)) {
      result.settings = run;
      const std::filesystem::path place = folder.path / std::to_string(folder.count());
      std::filesystem::create_directories(place);
      write_atomically(place / "run.json", to_json_text(result));
    }
    EXPECT_EQ(counted_runs(folder.path), spec.incidental ? 1U : 2U) << spec.name;
  }
}

TEST(WhatTellsRunsApart, IsTheSameForTables) {
  for (const SettingSpec& spec : run_settings()) {
    const TemporaryFolder folder;
    std::ofstream table(folder.path / "results.csv");
    std::map<std::string, std::string> row = {
        {"task", "cola"}, {"model", "m"},         {"method", "lora"},     {"rank", "8"},
        {"seed", "1"},    {"parameters", "1024"}, {"metric", "accuracy"}, {"score", "0.5"}};
    row[spec.name] = "";
    std::string line;
    for (const auto& [name, value] : row) line += (line.empty() ? "" : ",") + name;
    table << line << '\n';
    for (const std::string& value : two_values(spec)) {
      row[spec.name] = value;
      line.clear();
      for (const auto& [name, text] : row) line += (line.empty() ? "\"" : ",\"") + text + "\"";
      table << line << '\n';
    }
    table.close();
    EXPECT_EQ(counted_runs(folder.path / "results.csv"), spec.incidental ? 1U : 2U) << spec.name;
  }
}

}  // namespace
}  // namespace rankfold
