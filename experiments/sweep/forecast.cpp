#include "experiments/sweep/forecast.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/models/trained_parts.h"
#include "experiments/sweep/step_work.h"
#include "experiments/tasks/prompt_data.h"
#include "experiments/tasks/task.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/training/data.h"
#include "experiments/training/prompt_split.h"
#include "experiments/training/schedule.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Rows whose tokens stand for those of all.
constexpr std::size_t tokenised_rows = 1000;

/// What a forecast depends on.
std::string forecast_key(const RunSettings& settings) {
  using enum SettingRole;
  RunSettings key = settings_with(settings, {content, data_cost, method_cost, check, counting});
  for (const char* name : {"epochs", "steps"}) key.values[name] = settings.text(name);
  key.options = settings.options;
  return settings_text(key);
}

std::size_t parts_of(std::size_t whole, std::size_t part) {
  return (whole + part - 1) / part;
}

/// Of a row.
template <class Split>
double mean_tokens(const Split& split) {
  return static_cast<double>(mean_batch_tokens(split, tokenised_rows)) /
         static_cast<double>(tokenised_rows);
}

/// What trains beside the adapter: the output of a classifier does, whatever `--train` says.
std::string parts_with_head(const RunSettings& settings, const Method& method) {
  std::string parts = all_trained_parts(settings.text("train"), method);
  bool has_head = false, has_tensor_train = false;
  for (const std::string& part : split(parts, ',')) {
    has_head |= trim(part) == "head" || trim(part) == "output";
    has_tensor_train |= trim(part) == "tt-head";
  }
  if (has_head) return parts;
  return parts + (parts.empty() ? "" : ",") + (has_tensor_train ? "output" : "head");
}

/// As TrainingRun plans them.
void count_steps(const RunSettings& settings, RunForecast& forecast) {
  const std::size_t accumulate = settings.count("accumulate");
  const std::size_t given = settings.count("steps");
  if (given > 0)
    forecast.steps = given;
  else
    forecast.epochs = settings.count("epochs");
  const bool zero_order = settings.text("optimizer").starts_with("zo-");
  if (forecast.rows) {
    const std::size_t batches = parts_of(*forecast.rows, settings.count("batch"));
    const std::size_t of_epoch = parts_of(batches, accumulate);
    if (given > 0)
      forecast.epochs = parts_of(given, of_epoch);
    else
      forecast.steps = *forecast.epochs * of_epoch;
    forecast.forwards =
        *forecast.steps / of_epoch * batches + *forecast.steps % of_epoch * accumulate;
  } else if (given > 0 && accumulate == 1) {
    forecast.forwards = given;
  }
  if (zero_order && forecast.forwards) *forecast.forwards *= 2 * settings.count("zo-samples");
}

/// Of a step.
double rows_at_most(const RunSettings& settings) {
  return static_cast<double>(settings.count("batch") * settings.count("accumulate"));
}

}  // namespace

const RunForecast& Forecaster::of(const RunSettings& settings) {
  const auto [known, is_new] = known_.try_emplace(forecast_key(settings));
  if (is_new) known->second = make(settings);
  const std::size_t steps = known->second.steps.value_or(0);
  const std::string line = warmup_note(warmup_steps(settings.number("warmup"), steps), steps);
  if (!line.empty()) note(line);
  return known->second;
}

std::vector<std::string> Forecaster::rates() const {
  std::vector<std::string> lines;
  for (const auto& [threads, rate] : rates_)
    lines.push_back(fmt::format("{:.0f} GFLOP/s with {} {}", 1e-9 * rate, threads,
                                threads == 1 ? "thread" : "threads"));
  return lines;
}

RunForecast Forecaster::make(const RunSettings& settings) {
  const Method& method = registry_.at(settings.text("method"));
  RunForecast forecast;
  PlannedRun run{settings};
  const bool knows_task = settings.text("task") != unknown_place;
  if (knows_task) {
    const Task task = find_task(task_choice(settings));
    run.labels = task.labels;
    if (!task.prompt) run.settings.values["train"] = parts_with_head(settings, method);
  }
  const ModelCount count = store_.count(method, run);
  forecast.adapter = count.adapter;
  if (knows_task) forecast.trainable = count.trainable;

  const Rows& rows = rows_of(settings);
  forecast.rows = rows.count;
  count_steps(settings, forecast);
  if (!forecast.steps || !rows.tokens) return forecast;
  const std::string& model = settings.text("model");
  const double rows_of_step =
      static_cast<double>(*forecast.rows * *forecast.epochs) / static_cast<double>(*forecast.steps);
  const double work = step_work(
      store_.shape(model), store_.places(model), method, store_.stack(method, settings), settings,
      {.sequences = std::min(rows_of_step, rows_at_most(settings)), .length = *rows.tokens});
  const std::size_t threads =
      settings.text("threads").empty() ? cpu_count() : settings.count("threads");
  forecast.least_seconds = static_cast<double>(*forecast.steps) * work / rate_of(threads);
  return forecast;
}

const Forecaster::Rows& Forecaster::rows_of(const RunSettings& settings) {
  RunSettings key = settings_with(settings, {SettingRole::content});
  key.values["max-length"] = settings.text("max-length");
  const auto [known, is_new] = rows_.try_emplace(settings_text(key));
  if (is_new) known->second = read_rows(settings);
  return known->second;
}

Forecaster::Rows Forecaster::read_rows(const RunSettings& settings) {
  const std::string& task = settings.text("task");
  if (task == unknown_place) return unknown_rows();
  const TaskChoice choice = task_choice(settings);
  const Task found = find_task(choice);
  if (choice.data != unknown_place) {
    try {
      return found.prompt ? asked_rows(found, choice, settings) : labelled_rows(found, settings);
    } catch (const Error& error) {
      note(fmt::format("{}: unknown: {}", found.name, error.what()));
      return {};
    }
  }
  if (!found.prompt) return unknown_rows();
  note(
      "no --data is given: of a task by prompt as many rows as are drawn of a file that has enough "
      "(those of cb, copa and wsc have fewer)");
  const std::size_t most = settings.count("max-train");
  return {.count = most > 0 ? most : PromptSizes{}.train};
}

Forecaster::Rows Forecaster::unknown_rows() {
  note("no --data is given: steps, and what follows from them, are unknown where epochs count");
  return {};
}

Forecaster::Rows Forecaster::labelled_rows(const Task& task, const RunSettings& settings) {
  Dataset dataset = load_dataset(task, settings.text("data"), settings.count("max-train"));
  Rows rows{.count = dataset.train.size()};
  if (!has_tokenizer(settings)) return rows;
  dataset.train.resize(std::min(dataset.train.size(), tokenised_rows));
  const EncodedSplit split =
      encode_split(dataset.train, {dataset.train_file}, *load_tokenizer(settings.text("model")),
                   settings.count("max-length"));
  rows.tokens = mean_tokens(split);
  return rows;
}

Forecaster::Rows Forecaster::asked_rows(const Task& task, const TaskChoice& choice,
                                        const RunSettings& settings) {
  PromptDataset dataset = load_prompt_rows(task, choice, settings.count("max-train"),
                                           settings.count("seed"), std::array{Split::train});
  Rows rows{.count = dataset.train.size()};
  if (!has_tokenizer(settings)) return rows;
  dataset.train.resize(std::min(dataset.train.size(), tokenised_rows));
  const PromptSplit split =
      encode_prompts(*task.prompt, dataset.train, *load_tokenizer(settings.text("model")),
                     {.positions = store_.shape(settings.text("model")).positions,
                      .max_length = settings.count("max-length")});
  rows.tokens = mean_tokens(split);
  for (const EncodedPrompt& prompt : split.examples)
    for (std::size_t i = 0; i < prompt.options.size(); ++i)
      if (split.loss == PromptLoss::options || i == prompt.gold)
        rows.told += static_cast<double>(prompt.options[i].answer);
  rows.told /= static_cast<double>(split.size());
  return rows;
}

bool Forecaster::has_tokenizer(const RunSettings& settings) {
  std::error_code failure;
  const std::string& model = settings.text("model");
  if (fs::is_directory(model, failure)) return true;
  note(printable(model, 80) +
       " is a shape without tokenizer: how long rows are, and so the time, is unknown");
  return false;
}

double Forecaster::rate_of(std::size_t threads) {
  const auto [known, is_new] = rates_.try_emplace(threads);
  if (!is_new) return known->second;
  set_threads(static_cast<int>(threads));
  known->second = make_calibrated_device()->rates().large_flops;
  return known->second;
}

void Forecaster::note(const std::string& line) {
  if (std::ranges::find(notes_, line) == notes_.end()) notes_.push_back(line);
}

}  // namespace rankfold
