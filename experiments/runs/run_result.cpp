#include "experiments/runs/run_result.h"

#include <cstdint>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/json_text.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "core/device/device.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

// A line for every epoch and evaluation of a long run.
constexpr JsonLimits of_long_runs{std::size_t{1} << 28, 16, 5'000'000};

json typed(const SettingSpec& spec, const std::string& text) {
  const bool numerical = spec.kind == SettingKind::count || spec.kind == SettingKind::number ||
                         spec.kind == SettingKind::rank;
  if (!numerical) return text;
  if (const auto whole = parse_number<unsigned long long>(text)) return *whole;
  if (const auto real = parse_number<double>(text)) return *real;
  return text;
}

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? canonical_number(value.get<double>()) : value.dump();
}

RunSettings read_settings(const JsonField& document) {
  RunSettings settings;
  const std::string prefix = document.member("method").string() + ".";
  for (const auto& [name, value] : document.object().items()) {
    if (!value.is_primitive() || value.is_null())
      document.member(name).refuse("no single value", "a text, number or word");
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

json evaluations_document(const std::vector<EvaluationResult>& evaluations) {
  json document = json::array();
  for (const EvaluationResult& evaluation : evaluations)
    document.push_back({{"step", evaluation.step},
                        {"loss", evaluation.loss},
                        {"scores", json(evaluation.scores)},
                        {"constant_predictions", evaluation.constant_predictions}});
  return document;
}

std::map<std::string, double> read_numbers(const JsonField& document) {
  std::map<std::string, double> numbers;
  for (const auto& [name, value] : document.object().items())
    numbers[name] = document.member(name).number();
  return numbers;
}

std::size_t read_count(const JsonField& value) {
  return static_cast<std::size_t>(value.integer(0, std::numeric_limits<std::int64_t>::max()));
}

std::vector<std::string> read_texts(const JsonField& document) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < document.array_size(); ++i)
    texts.push_back(document.element(i).string());
  return texts;
}

std::string text_or_none(const JsonField& document, const char* name) {
  const auto value = document.optional_member(name);
  return value ? value->string() : "";
}

ParameterCounts read_counts(const JsonField& document) {
  ParameterCounts counts;
  counts.adapter = read_count(document.member("adapter"));
  counts.head = read_count(document.member("head"));
  counts.trainable = read_count(document.member("trainable"));
  counts.total = read_count(document.member("total"));
  if (const auto most = document.optional_member("largest_adapter"))
    counts.largest_adapter = read_count(*most);
  return counts;
}

RunResult parse_run(const JsonField& document) {
  RunResult result;
  result.settings = read_settings(document.member("settings"));
  document.member("status").expect_one_of({"done", "failed", "diverged"});
  result.status = document.member("status").string();
  result.error = text_or_none(document, "error");
  if (const auto step = document.optional_member("failed_step"))
    result.failed_step = read_count(*step);
  if (const auto resolved = document.optional_member("resolved")) {
    result.dropout = read_numbers(resolved->member("dropout"));
    result.notes = read_texts(resolved->member("notes"));
    if (const auto plans = resolved->optional_member("plans")) result.plans = read_texts(*plans);
  }
  result.parameters = read_counts(document.member("parameters"));
  if (const auto ranks = document.optional_member("ranks"))
    for (const auto& [site, rank] : ranks->object().items())
      result.ranks[site] = read_count(ranks->member(site));
  if (const auto found = document.optional_member("fingerprints"))
    result.fingerprints = {text_or_none(*found, "model"), text_or_none(*found, "train"),
                           text_or_none(*found, "scored")};
  if (const auto constant = document.optional_member("constant_predictions"))
    result.constant_predictions = constant->boolean();
  if (const auto majority = document.optional_member("majority_scores"))
    result.majority_scores = read_numbers(*majority);
  result.scores = read_numbers(document.member("scores"));
  const JsonField epochs = document.member("epochs");
  for (std::size_t i = 0; i < epochs.array_size(); ++i) {
    const JsonField epoch = epochs.element(i);
    result.epochs.push_back({read_count(epoch.member("epoch")), epoch.member("loss").number(),
                             read_numbers(epoch.member("scores")),
                             epoch.member("seconds").number()});
  }
  if (const auto evaluations = document.optional_member("evaluations"))
    for (const JsonField& evaluation : evaluations->elements())
      result.evaluations.push_back({read_count(evaluation.member("step")),
                                    evaluation.member("loss").number(),
                                    read_numbers(evaluation.member("scores")),
                                    evaluation.member("constant_predictions").boolean()});
  if (const auto kept = document.optional_member("kept_step")) result.kept_step = read_count(*kept);
  if (const auto early = document.optional_member("stopped_early"))
    result.stopped_early = early->boolean();
  if (const auto steps = document.optional_member("steps")) result.steps = read_count(*steps);
  if (const auto forwards = document.optional_member("forwards"))
    result.forwards = read_count(*forwards);
  result.tokens_per_second = document.member("tokens_per_second").number();
  result.examples_per_second = document.member("examples_per_second").number();
  result.train_seconds = document.member("train_seconds").number();
  result.adapted_layers = read_count(document.member("adapted_layers"));
  result.peak_memory_mib = document.member("peak_memory_mib").number();
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
  if (!is_unknown(result.fingerprints))
    document["fingerprints"] = {{"model", result.fingerprints.model},
                                {"train", result.fingerprints.train},
                                {"scored", result.fingerprints.scored}};
  document["scores"] = json(result.scores);
  if (result.status == "done") {
    document["constant_predictions"] = result.constant_predictions;
    document["majority_scores"] = json(result.majority_scores);
  }
  document["epochs"] = epochs_document(result.epochs);
  if (!result.evaluations.empty()) {
    document["evaluations"] = evaluations_document(result.evaluations);
    document["kept_step"] = result.kept_step;
    document["stopped_early"] = result.stopped_early;
    document["steps"] = result.steps;
    document["forwards"] = result.forwards;
  }
  document["tokens_per_second"] = result.tokens_per_second;
  document["examples_per_second"] = result.examples_per_second;
  document["train_seconds"] = result.train_seconds;
  document["peak_memory_mib"] = result.peak_memory_mib;
  document["machine"] = machine_description();
  document["versions"] = {
      {"rankfold", version()}, {"compiler", compiler()}, {"blas", kernel_report().configuration}};
  return json_text(document);
}

RunResult parse_run_text(std::string_view text, const std::filesystem::path& name) {
  const nlohmann::json document = parse_json<nlohmann::json>(text, name, of_long_runs);
  return parse_run({document, name});
}

RunResult read_run(const std::filesystem::path& file) {
  const nlohmann::json document = read_json<nlohmann::json>(file, of_long_runs);
  return parse_run({document, file});
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
