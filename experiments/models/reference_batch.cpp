#include "experiments/models/reference_batch.h"

#include <cstdint>
#include <string>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/config_values.h"

namespace rankfold {
namespace {

using Shape = std::vector<std::size_t>;

void expect_shape(const SafetensorsFile& file, const std::string& name, const Shape& expected) {
  const TensorEntry& entry = file.at(name);
  if (entry.shape != expected)
    throw Error("{}: tensor {} has shape [{}], expected [{}]", printable(file.path().string()),
                name, fmt::join(entry.shape, ", "), fmt::join(expected, ", "));
}

std::vector<std::int64_t> read_integers(const SafetensorsFile& file, const std::string& name,
                                        const Shape& expected) {
  expect_shape(file, name, expected);
  return file.read<std::int64_t>(name);
}

/// One a sequence, or one a token of the padded layout.
void read_labels(const SafetensorsFile& file, const std::string& name, std::size_t sequences,
                 ReferenceBatch& inputs) {
  if (!file.find(name)) return;
  const TensorEntry& entry = file.at(name);
  if (entry.shape.size() == 2) {
    const std::vector<std::int64_t> labels = read_integers(file, name, {sequences, inputs.length});
    for (const std::size_t row : inputs.real) {
      if (labels[row] < Batch::left_out || labels[row] > INT32_MAX)
        throw Error("{}: tensor {} holds {}, expected a token or -100",
                    printable(file.path().string()), name, labels[row]);
      inputs.batch.targets.push_back(static_cast<std::int32_t>(labels[row]));
    }
  } else if (entry.type == DataType::f32 || entry.type == DataType::f64) {
    expect_shape(file, name, {sequences});
    inputs.batch.labels = file.read<float>(name);
  } else {
    for (const std::int64_t label : read_integers(file, name, {sequences}))
      inputs.batch.labels.push_back(static_cast<float>(label));
  }
}

}  // namespace

std::vector<std::string> reference_prefixes(const SafetensorsFile& file) {
  if (file.find("input_ids")) return {""};
  std::vector<std::string> prefixes;
  while (file.find(fmt::format("{}.input_ids", prefixes.size())))
    prefixes.push_back(fmt::format("{}.", prefixes.size()));
  if (prefixes.empty())
    throw Error("{}: found no tensor input_ids", printable(file.path().string()));
  return prefixes;
}

ReferenceBatch read_reference_batch(const SafetensorsFile& file, const std::string& prefix) {
  const auto named = [&](const char* name) { return prefix + name; };
  const TensorEntry& entry = file.at(named("input_ids"));
  if (entry.shape.size() != 2)
    throw Error("{}: tensor {} has shape [{}], expected [sequences, length]",
                printable(file.path().string()), named("input_ids"), fmt::join(entry.shape, ", "));
  const std::size_t sequences = entry.shape[0], length = entry.shape[1], size = sequences * length;
  const auto integers = [&](const char* name, std::int64_t otherwise) {
    return file.find(named(name)) ? read_integers(file, named(name), {sequences, length})
                                  : std::vector<std::int64_t>(size, otherwise);
  };
  const std::vector<std::int64_t> ids = read_integers(file, named("input_ids"), entry.shape);
  const std::vector<std::int64_t> mask = integers("attention_mask", 1),
                                  types = integers("token_type_ids", 0);
  ReferenceBatch inputs;
  inputs.length = length;
  inputs.batch.starts = {0};
  for (std::size_t i = 0; i < size; ++i) {
    if (mask[i] != 0 && i % length > 0 && mask[i - 1] == 0)
      throw Error("{}: row {} of attention_mask has a 1 after a 0, expected padding at the end",
                  printable(file.path().string()), i / length);
    if (mask[i] != 0) {
      if (ids[i] < 0 || ids[i] > INT32_MAX || types[i] < 0 || types[i] > INT32_MAX)
        throw Error("{}: tensor {} holds {}, expected ids from 0 to {}",
                    printable(file.path().string()), named("input_ids"), ids[i], INT32_MAX);
      inputs.real.push_back(i);
      inputs.batch.ids.push_back(static_cast<std::int32_t>(ids[i]));
      inputs.batch.type_ids.push_back(static_cast<std::int32_t>(types[i]));
    }
    if (i % length == length - 1) inputs.batch.starts.push_back(inputs.real.size());
  }
  read_labels(file, named("labels"), sequences, inputs);
  return inputs;
}

HostSettings reference_settings(const std::filesystem::path& folder, const SafetensorsFile* file) {
  HostSettings settings;
  settings.dropout = 0;
  const ConfigFile config(folder / "config.json");
  const TensorEntry* logits = file == nullptr ? nullptr : file->find("logits");
  if (!logits) {
    settings.output = declared_output(config);
    settings.labels = read_label_count(config);
    if (file && file->find("0.logits_last")) settings.output = HostOutput::language_model;
  } else if (logits->shape.size() == 3) {
    settings.output = HostOutput::language_model;
  } else if (logits->shape.size() == 2) {
    settings.labels = read_label_count(config);
    if (logits->shape[1] != settings.labels)
      throw Error("{}: tensor logits has shape [{}], expected [sequences, {}], the labels of {}",
                  printable(file->path().string()), fmt::join(logits->shape, ", "), settings.labels,
                  printable(config.path().string()));
  } else {
    throw Error(
        "{}: tensor logits has shape [{}], expected [sequences, labels] or [sequences, length, "
        "vocabulary]",
        printable(file->path().string()), fmt::join(logits->shape, ", "));
  }
  if (settings.output == HostOutput::language_model) return settings;
  const std::string problem = config.text("problem_type", settings.labels == 1 ? "regression" : "");
  if (problem == "multi_label_classification")
    throw Error(
        "{}: problem_type is {}, whose loss is not computed here; expected regression or "
        "single_label_classification",
        printable(config.path().string()), problem);
  settings.regression = problem == "regression";
  return settings;
}

}  // namespace rankfold
