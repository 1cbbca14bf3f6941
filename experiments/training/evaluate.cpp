#include "experiments/training/evaluate.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/models/families/family.h"
#include "experiments/models/input_checks.h"
#include "experiments/runs/fingerprint.h"
#include "experiments/runs/settings.h"
#include "experiments/tasks/metrics.h"
#include "experiments/tasks/prompt_data.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"
#include "experiments/training/class_order.h"
#include "experiments/training/prompt_score.h"
#include "experiments/training/prompted_data.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::string outputs(std::size_t labels, bool regression) {
  return regression ? "a number as output" : std::to_string(labels) + " labels";
}

/// A model's new head is random.
void require_trained(const AdaptedModel& adapted, const EvaluationRequest& request) {
  if (adapted.untrained.empty()) return;
  throw Error("{}: holds no trained {}, without which it cannot be scored",
              request.adapter.string(), join(adapted.untrained, ", "));
}

/// What is given, and else what the adapter knows.
TaskChoice choice_of(const EvaluationRequest& request, const AdapterDescription& description,
                     const std::vector<std::string>& classes, bool in_words) {
  RunSettings settings;
  settings.values = {{"task", request.task.empty() ? description.task : request.task},
                     {"data", request.data.string()},
                     {"text", request.text},
                     {"label", request.label},
                     {"dev", request.dev},
                     {"metric", request.metric},
                     {"prompt", request.prompt},
                     {"scoring", in_words ? "prompt" : "head"}};
  if (settings.text("task").empty())
    throw UsageError("--task is missing; expected a task such as sst2");
  const bool is_table =
      is_table_file(settings.text("task")) || is_table_file(settings.text("data"));
  for (const auto& [name, value] : description.table)
    if (is_table && name != "dev" && settings.text(name).empty()) settings.values[name] = value;
  fill_table(settings);
  if (settings.text("data").empty())
    throw UsageError("--data is missing; expected the folder or table of task {}",
                     printable(settings.text("task"), 80));
  TaskChoice choice = task_choice(settings);
  choice.classes = classes;
  return choice;
}

Task choose_task(const TaskChoice& choice, const EvaluationRequest& request,
                 const AdapterDescription* description) {
  const Task task = find_task(choice);
  if (description != nullptr && !task.prompt &&
      (task.labels != description->labels || task.regression != description->regression)) {
    throw UsageError("--task is {}, with {}; the adapter in {} has {}{}", task.name,
                     outputs(task.labels, task.regression), request.adapter.string(),
                     outputs(description->labels, description->regression),
                     description->task.empty() ? "" : " (trained for " + description->task + ")");
  }
  return task;
}

/// Whether something tells what the scored model was trained on: the adapter of a run.
bool tells_its_run(const EvaluationRequest& request, const AdapterDescription& description) {
  return !request.adapter.empty() && !description.task.empty();
}

/// A table is divided by a hash of its texts: a run that divided its table so trained on none of
/// the rows that are scored, whatever table they are of. Throws UsageError where the adapter's run
/// divided none, or by other columns; what nothing is known of is noted.
void expect_divided_alike(const EvaluationRequest& request, const TaskChoice& choice,
                          const AdapterDescription& description, std::vector<std::string>& notes) {
  if (!is_table_file(choice.data) || !choice.dev.empty()) return;
  const std::string data = printable(choice.data.string(), 300);
  if (!tells_its_run(request, description)) {
    notes.push_back(
        fmt::format("{}: a part of its rows is scored, and nothing tells whether the model was "
                    "trained on them; --dev FILE scores all rows of a file",
                    data));
    return;
  }
  const auto refuse = [&](const std::string& trained_on) {
    throw UsageError(
        "--dev is missing: the adapter in {} was trained on {}, so that {} may hold rows that it "
        "has seen; expected --dev FILE, all of whose rows are scored",
        printable(request.adapter.string(), 300), trained_on, data);
  };
  const auto& table = description.table;
  if (table.empty()) refuse("task " + printable(description.task, 80));
  if (const auto dev = table.find("dev"); dev != table.end())
    refuse(fmt::format("a whole table and scored on another one ({})", printable(dev->second, 80)));
  const auto value = [&](const char* name) {
    const auto found = table.find(name);
    return found == table.end() ? std::string() : found->second;
  };
  const std::vector<std::string> columns = dividing_columns({.task = {},
                                                             .text = value("text"),
                                                             .label = value("label"),
                                                             .scoring = choice.scoring,
                                                             .prompt = value("prompt")});
  if (columns != dividing_columns(choice))
    refuse(fmt::format("a table divided by other columns ({})", printable(join(columns, ","), 80)));
}

/// What is scored, and how.
struct Scored {
  AdaptedModel adapted;
  TaskChoice choice;
  Task task;
  std::string score_on;
  std::size_t batch = 0, max_length = 0;
};

/// Rows that a task of a name holds out are of those to train on: of another task's run nothing is
/// known. Throws UsageError; of a model without a run it is noted.
void expect_held_out_by_run(const EvaluationRequest& request, const Scored& scored,
                            std::vector<std::string>& notes) {
  const AdapterDescription& description = scored.adapted.description;
  if (is_table_file(scored.choice.data) || scored.score_on != "held-out") return;
  if (!tells_its_run(request, description)) {
    notes.emplace_back(
        "--score-on held-out: the rows are of those to train on, and nothing tells whether the "
        "model was trained on them; --score-on dev scores others");
    return;
  }
  if (description.task != scored.task.name || !description.table.empty())
    throw UsageError(
        "--score-on held-out: the adapter in {} was trained for {}, and may have seen rows of {} "
        "that are held out; expected --score-on dev",
        printable(request.adapter.string(), 300), printable(description.task, 80),
        scored.task.name);
}

/// Rows by prompt are drawn by a seed, and those behind the rows to train on are held out: from
/// another file or by another seed they are others. Of the adapter of a run; throws UsageError.
void expect_drawn_alike(const EvaluationRequest& request, const Scored& scored,
                        const std::string& trained_rows, std::vector<std::string>& notes) {
  const AdapterDescription& description = scored.adapted.description;
  if (description.trained_rows.empty())
    notes.emplace_back(
        "--score-on held-out: an older version wrote the adapter and kept no fingerprint of its "
        "rows; whether it was trained on those that are scored cannot be told");
  else if (description.trained_rows != trained_rows)
    throw UsageError(
        "--score-on held-out: the rows to train on are others here than those of the adapter in "
        "{}, so that rows held out may be among these; expected the run's files and --seed {}, or "
        "--score-on dev",
        printable(request.adapter.string(), 300), description.seed);
}

/// A model without adapter must bring its own output layer: a new one would be noise.
void require_classifier(const fs::path& model, const Task& task) {
  const WeightFolder weights(model);
  for (const std::string& name : output_weights()) {
    const TensorEntry* entry = weights.find(name);
    if (entry == nullptr) continue;
    if (entry->shape.empty() || entry->shape.front() != task.labels) {
      throw Error("{}: '{}' has {} outputs; task {} needs {}", model.string(), name,
                  entry->shape.empty() ? 0 : entry->shape.front(), task.name, task.labels);
    }
    return;
  }
  throw Error("{}: has no classifier ({}); give --adapter, or a merged model", model.string(),
              join(output_weights(), " or "));
}

/// Whether a model without adapter is asked in words.
bool is_asked_in_words(const EvaluationRequest& request) {
  RunSettings settings;
  settings.values = {{"task", request.task}, {"data", request.data.string()}};
  if (!request.scoring.empty()) settings.values["scoring"] = request.scoring;
  if (!request.prompt.empty()) settings.values["prompt"] = request.prompt;
  fill_table(settings);
  fill_scoring(settings, tells_tokens(request.model), 1);
  return settings.asks_in_words();
}

/// The outputs in the order of the task's classes; adds to `notes`.
void order_outputs(const ClassOrder& order, std::vector<float>& logits,
                   std::vector<std::string>& notes) {
  if (!order.note.empty()) notes.push_back(order.note);
  if (order.outputs.empty()) return;
  std::vector<float> row(order.outputs.size());
  for (auto begin = logits.begin(); begin != logits.end(); begin += std::ssize(row)) {
    for (std::size_t k = 0; k < row.size(); ++k)
      row[k] = *(begin + static_cast<std::ptrdiff_t>(order.outputs[k]));
    std::ranges::copy(row, begin);
  }
}

Evaluation evaluate_head(const EvaluationRequest& request, const Scored& scored) {
  const Task& task = scored.task;
  Host& host = *scored.adapted.host;
  const Dataset dataset = load_dataset(task, scored.choice.data, 0, RowsNeeded::scored);
  const std::vector<Example>& rows = scored_examples(task, dataset, scored.score_on);
  const EncodedSplit split =
      encode_split(rows, dataset.scored_files, *load_tokenizer(request.model), scored.max_length);
  check_split(split, rows, dataset.scored_files, host);
  std::vector<float> logits =
      predict_split(host, split, scored.batch, task.labels, request.progress);
  Evaluation result;
  result.notes = dataset.notes;
  order_outputs(class_order(task, scored.choice.classes), logits, result.notes);
  result.scores = score(task, logits, split.labels, split.parts);
  result.constant_predictions = constant_predictions(task, logits);
  result.majority_scores = majority_scores(task, split.labels, split.parts);
  result.examples = split.size();
  if (!request.predictions.empty()) write_predictions(request.predictions, task, rows, logits);
  return result;
}

Evaluation evaluate_prompts(const EvaluationRequest& request, const Scored& scored) {
  const PromptTask& task = *scored.task.prompt;
  Host& host = *scored.adapted.host;
  const std::uint64_t seed = request.seed.value_or(scored.adapted.description.seed);
  std::vector<Split> wanted = {scored_split(scored.score_on)};
  const bool is_drawn = wanted.front() == Split::held_out && !is_table_file(scored.choice.data) &&
                        tells_its_run(request, scored.adapted.description);
  if (is_drawn) wanted.push_back(Split::train);
  const PromptDataset dataset = load_prompt_rows(
      scored.task, scored.choice, scored.adapted.description.max_train, seed, wanted);
  Evaluation result;
  if (is_drawn) expect_drawn_alike(request, scored, rows_fingerprint(dataset.train), result.notes);
  const std::vector<PromptExample>& rows = scored_examples(scored.task, dataset, scored.score_on);
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(request.model);
  const PromptSplit split =
      encode_prompts(task, rows, *tokenizer, {host.max_tokens(), scored.max_length});
  check_prompts(split, rows, host);
  const PromptScores found = score_prompts(host, task, split, scored.batch, request.progress,
                                           answer_generation(*tokenizer, request.model));
  result.notes.insert(result.notes.end(), dataset.notes.begin(), dataset.notes.end());
  if (const std::string note = cut_note(split.cut, split.lost, scored.max_length); !note.empty())
    result.notes.push_back(note);
  result.scores = found.scores;
  result.constant_predictions = found.constant;
  result.majority_scores = majority_scores(task, split);
  result.examples = split.size();
  if (!request.predictions.empty())
    write_prompt_predictions(request.predictions, task, rows, found);
  return result;
}

std::unique_ptr<Host> load_plain_host(const EvaluationRequest& request, const Task& task,
                                      std::shared_ptr<const Device> device) {
  if (!task.prompt) require_classifier(request.model, task);
  check_precision(request.precision);
  HostSettings settings;
  if (task.prompt) settings.output = HostOutput::language_model;
  settings.labels = task.labels;
  settings.regression = task.regression;
  settings.bfloat16 = request.precision == "bf16";
  return load_host(request.model, settings, std::move(device));
}

/// --score-on; without it the adapter's for rows of the kind that its run scored, else dev.
std::string chosen_split(const EvaluationRequest& request, const Scored& scored) {
  if (!request.score_on.empty()) return request.score_on;
  const AdapterDescription& description = scored.adapted.description;
  const bool is_table = is_table_file(scored.choice.data);
  const bool alike = is_table ? !description.table.empty() && scored.choice.dev.empty()
                              : description.task == scored.task.name;
  return alike ? description.score_on : "dev";
}

/// --max-length, the adapter's, or the default of how the model is asked.
std::size_t chosen_length(const EvaluationRequest& request, const Scored& scored) {
  if (request.max_length > 0) return request.max_length;
  // Another program's folder tells no task, and no length.
  if (!scored.adapted.description.task.empty()) return scored.adapted.description.max_length;
  RunSettings settings;
  settings.values["scoring"] = scored.choice.scoring;
  fill_scoring(settings, true, scored.adapted.host->max_tokens());
  return settings.count("max-length");
}

}  // namespace

Evaluation evaluate(const EvaluationRequest& request, const Registry& registry) {
  const auto start = Clock::now();
  for (const auto& [name, value] : {std::pair("score-on", &request.score_on),
                                    {"precision", &request.precision},
                                    {"scoring", &request.scoring}})
    if (!value->empty()) check_setting(name, *value);
  check_model_folder(request.model);
  if (!request.data.empty() && !is_table_file(request.data) && !is_table_file(request.task))
    check_data_folder(request.data);
  set_threads(static_cast<int>(request.threads == 0 ? cpu_count() : request.threads));
  const auto device = make_calibrated_device();

  Scored scored;
  const bool with_adapter = !request.adapter.empty();
  if (with_adapter) {
    std::optional<HostOutput> output;
    if (!request.scoring.empty())
      output = request.scoring == "prompt" ? HostOutput::language_model : HostOutput::classifier;
    scored.adapted = load_adapted_model(request.model, request.adapter, registry, device,
                                        request.precision, output);
    require_trained(scored.adapted, request);
  }
  const AdapterDescription& description = scored.adapted.description;
  const bool in_words =
      with_adapter ? description.output == HostOutput::language_model : is_asked_in_words(request);
  std::vector<std::string> classes = description.classes;
  if (!with_adapter && !in_words) classes = model_classes(request.model);
  scored.choice = choice_of(request, description, classes, in_words);
  std::vector<std::string> notes;
  expect_divided_alike(request, scored.choice, description, notes);
  scored.task = choose_task(scored.choice, request, with_adapter ? &description : nullptr);
  if (!with_adapter) scored.adapted.host = load_plain_host(request, scored.task, device);
  scored.max_length = chosen_length(request, scored);
  check_max_length(scored.max_length, *scored.adapted.host, request.model);
  scored.batch = request.batch == 0 ? description.batch : request.batch;
  scored.score_on = chosen_split(request, scored);
  expect_held_out_by_run(request, scored, notes);

  Evaluation result = in_words ? evaluate_prompts(request, scored) : evaluate_head(request, scored);
  result.notes.insert(result.notes.begin(), notes.begin(), notes.end());
  result.task = scored.task.name;
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace rankfold
