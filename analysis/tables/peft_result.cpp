#include "analysis/tables/peft_result.h"

#include <cmath>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/base/text.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_file.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr double mebibyte = 1024.0 * 1024.0;

/// The value, or null.
json value_of(const json& parent, const char* key) {
  const auto found = parent.find(key);
  return found == parent.end() ? json() : *found;
}

json size_of_adapter(const fs::path& run) {
  std::error_code failure;
  const auto size = fs::file_size(run / "adapter" / "adapter_model.safetensors", failure);
  return failure ? json() : json(size);
}

json peft_config(const json& settings) {
  if (settings.at("method") == "full" || settings.at("method") == "none") return nullptr;
  json config = {{"peft_type", settings.at("method")},
                 {"r", value_of(settings, "rank")},
                 {"alpha", value_of(settings, "alpha")},
                 {"target_modules", value_of(settings, "targets")},
                 {"layers_to_transform", value_of(settings, "layers")}};
  const std::string own = settings.at("method").get<std::string>() + ".";
  for (const auto& [key, value] : settings.items())
    if (key.starts_with(own)) config[key.substr(own.size())] = value;
  return config;
}

json train_config(const json& settings) {
  const json precision = value_of(settings, "precision");
  return {
      {"model_id", settings.at("model")},
      {"dtype", precision == "bf16" ? "bfloat16" : "float32"},
      {"max_seq_length", value_of(settings, "max-length")},
      {"batch_size", value_of(settings, "batch")},
      {"batch_size_eval", value_of(settings, "batch")},
      {"max_steps", value_of(settings, "epochs")},
      {"eval_steps", 1},
      {"compile", false},
      {"use_gc", false},
      {"query_template", nullptr},
      {"seed", value_of(settings, "seed")},
      {"grad_norm_clip", value_of(settings, "clip")},
      {"optimizer_type", value_of(settings, "optimizer")},
      {"optimizer_kwargs",
       {{"lr", value_of(settings, "lr")}, {"weight_decay", value_of(settings, "weight-decay")}}},
      {"lr_scheduler", value_of(settings, "schedule")},
      {"use_amp", false},
      {"autocast_adapter_dtype", false},
      {"generation_kwargs", json::object()},
      {"attn_implementation", nullptr},
      {"init_kv_cache_prefix", nullptr},
      {"score_on", value_of(settings, "score-on")}};
}

json metrics_of(const json& run, const std::string& metric) {
  json rows = json::array();
  const double seconds = run.at("train_seconds").get<double>();
  const json& epochs = run.at("epochs");
  const double examples = value_of(run, "examples_per_second").is_number()
                              ? run.at("examples_per_second").get<double>() * seconds
                              : 0;
  double elapsed = 0;
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    const json& epoch = epochs[i];
    elapsed += epoch.at("seconds").get<double>();
    rows.push_back({{"step", epoch.at("epoch")},
                    {"valid " + metric, value_of(epoch.at("scores"), metric.c_str())},
                    {"train loss", epoch.at("loss")},
                    {"train samples", std::llround(examples * static_cast<double>(i + 1) /
                                                   static_cast<double>(epochs.size()))},
                    {"train time", epoch.at("seconds")},
                    {"eval time", nullptr},
                    {"tokens / sec", value_of(run, "tokens_per_second")},
                    {"mem allocated avg", nullptr},
                    {"mem reserved avg", nullptr},
                    {"elapsed time", elapsed}});
  }
  const json tokens = value_of(run, "tokens_per_second");
  rows.push_back(
      {{"step", epochs.empty() ? json(0) : epochs.back().at("epoch")},
       {"test " + metric, run.at("scores").at(metric)},
       {"train loss", epochs.empty() ? json() : epochs.back().at("loss")},
       {"train samples", std::llround(examples)},
       {"train total tokens",
        tokens.is_number() ? json(std::llround(tokens.get<double>() * seconds)) : json()},
       {"forgetting", nullptr}});
  return rows;
}

json document_of(const json& run, const fs::path& folder, const std::string& name) {
  const json& settings = run.at("settings");
  const std::string task = settings.at("task").get<std::string>();
  std::vector<std::string> measured;
  for (const auto& [metric, value] : run.at("scores").items())
    if (value.is_number()) measured.push_back(metric);
  const std::string metric = main_metric(task, measured);
  const json memory = value_of(run, "peak_memory_mib");
  const json bytes =
      memory.is_number() ? json(std::llround(memory.get<double>() * mebibyte)) : json();
  const json versions = value_of(run, "versions");
  const json version = versions.is_object() ? value_of(versions, "rankfold") : json();
  return {{"run_info",
           {{"created_at", nullptr},
            {"total_time", run.at("train_seconds")},
            {"experiment_name", name},
            {"peft_branch", nullptr},
            {"peft_worktree_is_dirty", nullptr},
            {"train_config", train_config(settings)},
            {"peft_config", peft_config(settings)},
            {"error_msg", ""}}},
          {"train_info",
           {{"accelerator_memory_reserved_avg", nullptr},
            {"accelerator_memory_max", bytes},
            {"accelerator_memory_reserved_99th", nullptr},
            {"train_time", run.at("train_seconds")},
            {"file_size", size_of_adapter(folder)},
            {"num_trainable_params", run.at("parameters").at("trainable")},
            {"num_total_params", run.at("parameters").at("total")},
            {"status", "success"},
            {"metrics", metrics_of(run, metric)}}},
          {"meta_info",
           {{"model_info", {{"sha", nullptr}, {"created_at", nullptr}}},
            {"dataset_info", {{task, {{"sha", nullptr}, {"created_at", nullptr}}}}},
            {"package_info", {{"rankfold-version", version}, {"rankfold-commit-hash", nullptr}}},
            {"system_info", {{"system", "Linux"}, {"machine", value_of(run, "machine")}}},
            {"pytorch_info", nullptr}}}};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> peft_results(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> documents;
  for (const fs::path& file : find_files(folder, "run.json").files) {
    const json run = read_document(file).root().value();
    if (!run.is_object()) throw Error("{}: is no JSON object", file.string());
    if (value_of(run, "status") != "done") continue;
    std::string name;
    for (const fs::path& part : file.parent_path().lexically_relative(folder)) {
      if (part == ".") continue;
      name += (name.empty() ? "" : "--") + part.string();
    }
    if (name.empty()) name = "run";
    try {
      documents.emplace_back(name + ".json", json_text(document_of(run, file.parent_path(), name)));
    } catch (const json::exception& failure) {
      throw Error("{}: is not what finetune writes: {}", file.string(),
                  printable(failure.what(), 200));
    }
  }
  if (documents.empty())
    throw Error("{}: found no run.json with status done below this folder", folder.string());
  return documents;
}

}  // namespace rankfold
