#include "experiments/models/input_checks.h"

#include <algorithm>
#include <system_error>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/device/bfloat16_weight.h"
#include "experiments/models/shapes.h"

namespace rankfold {

namespace fs = std::filesystem;

namespace {

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

}  // namespace rankfold
