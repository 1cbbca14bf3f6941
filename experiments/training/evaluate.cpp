#include "experiments/training/evaluate.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/models/config_file.h"
#include "experiments/models/families/family.h"
#include "experiments/models/input_checks.h"
#include "experiments/runs/settings.h"
#include "experiments/tasks/metrics.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"
#include "experiments/training/run_folder.h"

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
                     const std::vector<std::string>& classes) {
  RunSettings settings;
  settings.values = {{"task", request.task.empty() ? description.task : request.task},
                     {"data", request.data.string()},
                     {"text", request.text},
                     {"label", request.label},
                     {"dev", request.dev},
                     {"metric", request.metric}};
  if (settings.text("task").empty())
    throw UsageError("--task is missing; expected a task such as sst2");
  const bool is_table =
      is_table_file(settings.text("task")) || is_table_file(settings.text("data"));
  for (const auto& [name, value] : description.table)
    if (is_table && settings.text(name).empty()) settings.values[name] = value;
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
  if (description != nullptr &&
      (task.labels != description->labels || task.regression != description->regression)) {
    throw UsageError("--task is {}, with {}; the adapter in {} has {}{}", task.name,
                     outputs(task.labels, task.regression), request.adapter.string(),
                     outputs(description->labels, description->regression),
                     description->task.empty() ? "" : " (trained for " + description->task + ")");
  }
  return task;
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

/// Where the model has the task's classes by name in another order, the outputs in the task's; adds
/// to `notes`.
void order_outputs(const Task& task, const std::vector<std::string>& classes,
                   std::vector<float>& logits, std::vector<std::string>& notes) {
  if (classes.size() != task.classes.size() || classes == task.classes) return;
  std::vector<std::size_t> positions;
  for (const std::string& name : task.classes) {
    const auto same = [&](const std::string& other) {
      return normalise_text(other) == normalise_text(name);
    };
    const auto found = std::ranges::find_if(classes, same);
    if (found == classes.end()) {
      notes.push_back(foreign_classes_note(task, classes));
      return;
    }
    positions.push_back(static_cast<std::size_t>(found - classes.begin()));
  }
  const std::set<std::size_t> distinct(positions.begin(), positions.end());
  if (std::ranges::is_sorted(positions) || distinct.size() < classes.size()) return;
  std::vector<float> row(task.labels);
  for (auto begin = logits.begin(); begin != logits.end(); begin += std::ssize(row)) {
    for (std::size_t k = 0; k < row.size(); ++k)
      row[k] = *(begin + static_cast<std::ptrdiff_t>(positions[k]));
    std::ranges::copy(row, begin);
  }
  notes.push_back(fmt::format("the model's classes are {}: its outputs are read by name",
                              printable(join(classes, ", "), 200)));
}

}  // namespace

std::vector<std::string> model_classes(const fs::path& model) {
  const ConfigFile config(model / "config.json");
  const JsonField names(config.values(), config.path());
  std::vector<std::string> classes;
  const auto given = names.find("id2label");
  for (std::size_t k = 0; given && k < given->members().size(); ++k) {
    const auto name = given->find(std::to_string(k));
    if (!name || !name->is_string() || name->string() == fmt::format("LABEL_{}", k)) return {};
    classes.push_back(name->string());
  }
  return classes;
}

std::string foreign_classes_note(const Task& task, const std::vector<std::string>& classes) {
  const auto same = [](const std::string& a, const std::string& b) {
    return normalise_text(a) == normalise_text(b);
  };
  if (classes.size() != task.classes.size() || std::ranges::equal(classes, task.classes, same))
    return "";
  return fmt::format("the model's classes are {}: its outputs stand for {} by their order",
                     printable(join(classes, ", "), 200), printable(join(task.classes, ", "), 200));
}

Evaluation evaluate(const EvaluationRequest& request, const Registry& registry) {
  const auto start = Clock::now();
  if (!request.score_on.empty()) check_setting("score-on", request.score_on);
  if (!request.precision.empty()) check_setting("precision", request.precision);
  check_model_folder(request.model);
  if (!request.data.empty() && !is_table_file(request.data) && !is_table_file(request.task))
    check_data_folder(request.data);
  set_threads(static_cast<int>(request.threads == 0 ? cpu_count() : request.threads));
  const auto device = make_calibrated_device();

  AdaptedModel adapted;
  const bool with_adapter = !request.adapter.empty();
  if (with_adapter) {
    adapted = load_adapted_model(request.model, request.adapter, registry, device,
                                 request.precision, HostOutput::classifier);
    require_trained(adapted, request);
  }
  const std::vector<std::string> classes =
      with_adapter ? adapted.description.classes : model_classes(request.model);
  const TaskChoice choice = choice_of(request, adapted.description, classes);
  const Task task = choose_task(choice, request, with_adapter ? &adapted.description : nullptr);
  if (!with_adapter) {
    require_classifier(request.model, task);
    check_precision(request.precision);
    HostSettings settings;
    settings.labels = task.labels;
    settings.regression = task.regression;
    settings.bfloat16 = request.precision == "bf16";
    adapted.host = load_host(request.model, settings, device);
  }

  const std::size_t max_length =
      request.max_length == 0 ? adapted.description.max_length : request.max_length;
  check_max_length(max_length, *adapted.host, request.model);
  const std::size_t batch = request.batch == 0 ? adapted.description.batch : request.batch;
  const Dataset dataset = load_dataset(task, choice.data, 0, RowsNeeded::scored);
  const std::vector<Example>& rows = scored_examples(
      task, dataset, request.score_on.empty() ? adapted.description.score_on : request.score_on);
  const EncodedSplit split =
      encode_split(rows, dataset.scored_files, *load_tokenizer(request.model), max_length);
  check_split(split, rows, dataset.scored_files, *adapted.host);
  std::vector<float> logits =
      predict_split(*adapted.host, split, batch, task.labels, request.progress);

  Evaluation result;
  result.task = task.name;
  result.notes = dataset.notes;
  order_outputs(task, classes, logits, result.notes);
  result.scores = score(task, logits, split.labels, split.parts);
  result.constant_predictions = constant_predictions(task, logits);
  result.majority_scores = majority_scores(task, split.labels, split.parts);
  result.examples = split.size();
  if (!request.predictions.empty()) write_predictions(request.predictions, task, rows, logits);
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace rankfold
