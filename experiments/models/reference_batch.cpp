#include "experiments/models/reference_batch.h"

#include <cstdint>
#include <string>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/config_file.h"

namespace rankfold {
namespace {

std::vector<std::int64_t> read_integers(const SafetensorsFile& file, const std::string& name,
                                        std::size_t size) {
  std::vector<std::int64_t> values = file.read<std::int64_t>(name);
  if (values.size() != size)
    throw Error("{}: tensor {} has {} numbers, expected {}", printable(file.path().string()), name,
                values.size(), size);
  return values;
}

std::vector<float> read_labels(const SafetensorsFile& file) {
  if (!file.find("labels")) return {};
  const DataType type = file.at("labels").type;
  if (type == DataType::f32 || type == DataType::f64) return file.read<float>("labels");
  std::vector<float> labels;
  for (const std::int64_t label : file.read<std::int64_t>("labels"))
    labels.push_back(static_cast<float>(label));
  return labels;
}

}  // namespace

ReferenceBatch read_reference_batch(const SafetensorsFile& file) {
  const TensorEntry& entry = file.at("input_ids");
  if (entry.shape.size() != 2)
    throw Error("{}: tensor input_ids has shape [{}], expected [sequences, length]",
                printable(file.path().string()), fmt::join(entry.shape, ", "));
  const std::size_t sequences = entry.shape[0], length = entry.shape[1], size = sequences * length;
  const std::vector<std::int64_t> ids = read_integers(file, "input_ids", size);
  std::vector<std::int64_t> mask(size, 1), types(size, 0);
  if (file.find("attention_mask")) mask = read_integers(file, "attention_mask", size);
  if (file.find("token_type_ids")) types = read_integers(file, "token_type_ids", size);
  ReferenceBatch inputs;
  inputs.batch.starts = {0};
  for (std::size_t i = 0; i < size; ++i) {
    if (mask[i] != 0 && i % length > 0 && mask[i - 1] == 0)
      throw Error("{}: row {} of attention_mask has a 1 after a 0, expected padding at the end",
                  printable(file.path().string()), i / length);
    if (mask[i] != 0) {
      inputs.real.push_back(i);
      inputs.batch.ids.push_back(static_cast<std::int32_t>(ids[i]));
      inputs.batch.type_ids.push_back(static_cast<std::int32_t>(types[i]));
    }
    if (i % length == length - 1) inputs.batch.starts.push_back(inputs.real.size());
  }
  inputs.batch.labels = read_labels(file);
  return inputs;
}

HostSettings reference_settings(const std::filesystem::path& folder, const SafetensorsFile* file) {
  HostSettings settings;
  const TensorEntry* logits = file == nullptr ? nullptr : file->find("logits");
  if (logits && (logits->shape.size() != 2 || logits->shape[1] == 0))
    throw Error("{}: tensor logits has shape [{}], expected [sequences, labels]",
                printable(file->path().string()), fmt::join(logits->shape, ", "));
  const std::size_t labels = logits ? logits->shape[1] : 2;
  settings.labels = labels;
  settings.dropout = 0;
  const ConfigFile config(folder / "config.json");
  const std::string problem = config.text("problem_type", labels == 1 ? "regression" : "");
  if (problem == "multi_label_classification")
    throw Error(
        "{}: problem_type is {}, whose loss is not computed here; expected regression or "
        "single_label_classification",
        printable(config.path().string()), problem);
  settings.regression = problem == "regression";
  return settings;
}

}  // namespace rankfold
