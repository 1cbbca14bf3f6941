#include "experiments/training/run_folder.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <vector>

#include "core/bfloat16_weight.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "experiments/models/shapes.h"

namespace rankfold {

namespace fs = std::filesystem;

namespace {

std::string text_or_unset(const std::map<std::string, std::string>& values,
                          const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() || found->second.empty() ? "not set" : found->second;
}

bool is_folder(const fs::path& path) {
  std::error_code failure;
  return fs::is_directory(path, failure);
}

}  // namespace

void check_model_folder(const fs::path& model) {
  if (is_folder(model)) return;
  const std::string text = printable(model.string(), 300);
  const auto& shapes = built_in_shapes();
  if (std::ranges::find(shapes, model.string(), &ModelShape::name) != shapes.end())
    throw Error(
        "--model {}: found no such folder; {} is a built-in shape, which has no weights; expected "
        "a folder with config.json and model.safetensors",
        text, text);
  throw Error("--model {}: found no such folder; expected config.json and model.safetensors in it",
              text);
}

void check_data_folder(const fs::path& data) {
  if (!is_folder(data))
    throw Error("--data {}: found no such folder; expected the task's files in it",
                printable(data.string(), 300));
}

void check_precision(const std::string& precision) {
  if (precision != "bf16") return;
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty())
    throw Error(
        "--precision bf16: {}; expected AVX512_BF16 or AMX and a build with oneDNN, or --precision "
        "f32",
        obstacle);
}

std::string first_difference(const RunSettings& there, const RunSettings& here) {
  for (const SettingSpec& spec : run_settings()) {
    const std::string left = text_or_unset(there.values, spec.name),
                      right = text_or_unset(here.values, spec.name);
    if (left != right) return fmt::format("{} is {} there and {} here", spec.name, left, right);
  }
  std::map<std::string, std::string> names = there.options;
  names.insert(here.options.begin(), here.options.end());
  for (const auto& [name, unused] : names) {
    const std::string left = text_or_unset(there.options, name),
                      right = text_or_unset(here.options, name);
    if (left != right) return fmt::format("{} is {} there and {} here", name, left, right);
  }
  return "";
}

void prepare_run_folder(const fs::path& out) {
  std::error_code failure;
  fs::create_directories(out, failure);
  if (failure) throw Error("--out {}: cannot be made: {}", out.string(), failure.message());
  { const AtomicFile probe(out / "run.json"); }
  std::vector<fs::path> stale{out / "run.json", out / "adapter" / "adapter_config.json",
                              out / "adapter" / "adapter_model.safetensors"};
  for (const auto& entry : fs::directory_iterator(out)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) {
      stale.push_back(entry.path());
    }
  }
  for (const fs::path& file : stale) fs::remove(file, failure);
}

}  // namespace rankfold
