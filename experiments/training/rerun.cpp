#include "experiments/training/rerun.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/machine.h"
#include "core/base/safetensors.h"
#include "core/base/scratch.h"
#include "core/base/text.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/runs/unread_settings.h"
#include "experiments/training/zero_order_log.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

RunResult finished_run(const fs::path& folder) {
  const fs::path file = folder / "run.json";
  std::error_code failure;
  if (!fs::exists(file, failure))
    throw UsageError("{}: there is no run.json; expected the folder of a finished run",
                     printable(folder.string()));
  RunResult run = read_run(file);
  if (run.status != "done")
    throw UsageError("{}: the run is {}; expected a finished one", printable(file.string()),
                     run.status);
  return run;
}

void expect_same_content(const RunResult& run, const fs::path& folder) {
  const std::string other = first_difference(run.fingerprints, FingerprintStore().of(run.settings));
  if (!other.empty())
    throw Error("{}: {}; the run cannot be repeated", printable(folder.string()), other);
}

bool same_bits(const SafetensorsFile& one, const SafetensorsFile& other, const std::string& name) {
  const TensorEntry *left = one.find(name), *right = other.find(name);
  if (!left || !right || left->type != right->type || left->shape != right->shape) return false;
  const auto a = one.bytes(*left), b = other.bytes(*right);
  return std::ranges::equal(a, b);
}

void compare_adapters(const SafetensorsFile& before, const fs::path& folder, Rerun& result) {
  const SafetensorsFile now(folder / "adapter" / adapter_tensors_name);
  std::set<std::string> names;
  for (const SafetensorsFile* file : {&before, &now})
    for (const TensorEntry& entry : file->entries()) names.insert(entry.name);
  result.tensors = names.size();
  for (const std::string& name : names)
    if (!same_bits(before, now, name)) result.differing.push_back(name);
}

/// A member of run.json, "" where it has none.
std::string member_text(const JsonDocument& document, const char* name) {
  const auto found = document.root().find(name);
  return found ? found->value().dump() : "";
}

}  // namespace

Rerun rerun(const fs::path& run, const fs::path& out, bool replay, const Registry& registry,
            FinetuneOptions options) {
  const RunResult before = finished_run(run);
  const fs::path log = run / zero_order_log_name;
  std::error_code failure;
  if (replay && !fs::exists(log, failure))
    throw UsageError("--replay: {} has no {}; expected a run of zo-sgd or zo-adam",
                     printable(run.string()), zero_order_log_name);
  const SafetensorsFile adapter(run / "adapter" / adapter_tensors_name);
  expect_same_content(before, run);
  std::optional<ScratchFolder> scratch;
  if (out.empty()) {
    const fs::path temporary = fs::temp_directory_path(failure);
    if (failure)
      throw Error("the temporary folder (TMPDIR): {}; expected one, or --out DIR",
                  failure.message());
    scratch.emplace(temporary);
  }
  const fs::path place = out.empty() ? scratch->path() / "run" : out;
  if (!out.empty() && fs::equivalent(out, run, failure))
    throw UsageError("--out {}: is the run itself, expected another folder",
                     printable(out.string()));
  if (replay) options.replayed = ReplayedSteps{log, before.kept_step};

  RunSettings settings = before.settings;
  drop_unread(settings);
  const RunResult now = finetune(settings, place, registry, options);
  Rerun result;
  result.settings = before.settings;
  result.scores = before.scores;
  result.repeated_scores = now.scores;
  result.repeated_status = now.status;
  if (now.status == "done") compare_adapters(adapter, place, result);
  const JsonDocument then(run / "run.json"), today(place / "run.json");
  for (const char* name : {"machine", "versions"}) {
    const std::string there = member_text(then, name), here = member_text(today, name);
    if (there != here)
      result.notes.push_back(fmt::format("{}: {} then, {} now", name, there, here));
  }
  return result;
}

}  // namespace rankfold
