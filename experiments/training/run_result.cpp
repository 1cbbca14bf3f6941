#include "experiments/training/run_result.h"

#include <nlohmann/json.hpp>

#include "core/backend.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_text.h"
#include "core/text.h"
#include "core/version.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

json typed(const SettingSpec& spec, const std::string& text) {
  const bool numerical = spec.kind == SettingKind::count || spec.kind == SettingKind::number ||
                         spec.kind == SettingKind::rank;
  if (!numerical) return text;
  if (const auto whole = parse_number<unsigned long long>(text)) return *whole;
  if (const auto real = parse_number<double>(text)) return *real;
  return text;
}

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? canonical_number(value.get<double>()) : value.dump();
}

RunSettings read_settings(const json& document) {
  RunSettings settings;
  const std::string prefix = document.at("method").get<std::string>() + ".";
  for (const auto& [name, value] : document.items()) {
    if (name.starts_with(prefix)) {
      settings.options[name.substr(prefix.size())] = text_of(value);
    } else {
      settings.values[name] = text_of(value);
    }
  }
  return settings;
}

json epochs_document(const std::vector<EpochResult>& epochs) {
  json document = json::array();
  for (const EpochResult& epoch : epochs) {
    document.push_back({{"epoch", epoch.epoch},
                        {"loss", epoch.loss},
                        {"scores", json(epoch.scores)},
                        {"seconds", epoch.seconds}});
  }
  return document;
}

RunResult parse_run(const json& document) {
  RunResult result;
  result.settings = read_settings(document.at("settings"));
  result.status = document.at("status").get<std::string>();
  result.error = document.value("error", "");
  result.failed_step = document.value("failed_step", std::size_t{0});
  if (const auto resolved = document.find("resolved"); resolved != document.end()) {
    result.dropout = resolved->at("dropout").get<std::map<std::string, double>>();
    result.notes = resolved->at("notes").get<std::vector<std::string>>();
    result.plans = resolved->value("plans", std::vector<std::string>());
  }
  const json& parameters = document.at("parameters");
  result.parameters = {
      parameters.at("adapter").get<std::size_t>(), parameters.at("head").get<std::size_t>(),
      parameters.at("trainable").get<std::size_t>(), parameters.at("total").get<std::size_t>(),
      parameters.value("largest_adapter", std::size_t{0})};
  result.ranks = document.value("ranks", std::map<std::string, std::size_t>());
  result.scores = document.at("scores").get<std::map<std::string, double>>();
  for (const json& epoch : document.at("epochs")) {
    result.epochs.push_back({epoch.at("epoch").get<std::size_t>(), epoch.at("loss").get<double>(),
                             epoch.at("scores").get<std::map<std::string, double>>(),
                             epoch.at("seconds").get<double>()});
  }
  result.tokens_per_second = document.at("tokens_per_second").get<double>();
  result.examples_per_second = document.at("examples_per_second").get<double>();
  result.train_seconds = document.at("train_seconds").get<double>();
  result.adapted_layers = document.at("adapted_layers").get<std::size_t>();
  result.peak_memory_mib = document.at("peak_memory_mib").get<double>();
  return result;
}

}  // namespace

json settings_document(const RunSettings& settings) {
  json document = json::object();
  for (const SettingSpec& spec : run_settings()) {
    const auto given = settings.values.find(spec.name);
    if (given != settings.values.end() && !given->second.empty())
      document[spec.name] = typed(spec, given->second);
  }
  for (const auto& [name, value] : settings.options) {
    document[settings.text("method") + "." + name] = value;
  }
  return document;
}

std::string to_json_text(const RunResult& result) {
  json document;
  document["settings"] = settings_document(result.settings);
  document["status"] = result.status;
  if (!result.error.empty()) document["error"] = result.error;
  if (result.failed_step > 0) document["failed_step"] = result.failed_step;
  document["resolved"] = {{"dropout", json(result.dropout)},
                          {"notes", json(result.notes)},
                          {"plans", json(result.plans)}};
  document["parameters"] = {{"adapter", result.parameters.adapter},
                            {"head", result.parameters.head},
                            {"trainable", result.parameters.trainable},
                            {"total", result.parameters.total}};
  if (result.parameters.largest_adapter > 0)
    document["parameters"]["largest_adapter"] = result.parameters.largest_adapter;
  if (!result.ranks.empty()) document["ranks"] = json(result.ranks);
  document["adapted_layers"] = result.adapted_layers;
  document["scores"] = json(result.scores);
  document["epochs"] = epochs_document(result.epochs);
  document["tokens_per_second"] = result.tokens_per_second;
  document["examples_per_second"] = result.examples_per_second;
  document["train_seconds"] = result.train_seconds;
  document["peak_memory_mib"] = result.peak_memory_mib;
  document["machine"] = machine_description();
  document["versions"] = {
      {"rankfold", version()}, {"compiler", compiler()}, {"blas", kernel_report().configuration}};
  return json_text(document);
}

RunResult read_run(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  try {
    return parse_run(json::parse(text));
  } catch (const json::exception& failure) {
    throw Error("{}: is no run.json: {}", file.string(), printable(failure.what(), 200));
  }
}

std::optional<RunResult> find_run(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder / "run.json", ignored)) return std::nullopt;
  try {
    return read_run(folder / "run.json");
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace rankfold
