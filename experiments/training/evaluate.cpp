#include "experiments/training/evaluate.h"

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
#include "experiments/runs/settings.h"
#include "experiments/tasks/metrics.h"
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

const Task& choose_task(const EvaluationRequest& request, const AdapterDescription* description) {
  if (request.task.empty() && (description == nullptr || description->task.empty())) {
    throw UsageError("--task is missing; expected a task such as sst2");
  }
  const Task& task = find_task(request.task.empty() ? description->task : request.task);
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

}  // namespace

Evaluation evaluate(const EvaluationRequest& request, const Registry& registry) {
  const auto start = Clock::now();
  if (!request.score_on.empty()) check_setting("score-on", request.score_on);
  if (!request.precision.empty()) check_setting("precision", request.precision);
  check_model_folder(request.model);
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
  const Task& task = choose_task(request, with_adapter ? &adapted.description : nullptr);
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
  const Dataset dataset = load_dataset(task, request.data, 0, RowsNeeded::scored);
  const std::vector<Example>& rows = scored_examples(
      task, dataset, request.score_on.empty() ? adapted.description.score_on : request.score_on);
  const EncodedSplit split =
      encode_split(rows, dataset.scored_file, *load_tokenizer(request.model), max_length);
  check_split(split, rows, dataset.scored_file, *adapted.host);
  const std::vector<float> logits =
      predict_split(*adapted.host, split, batch, task.labels, request.progress);

  Evaluation result;
  result.task = task.name;
  result.scores = score(task, logits, split.labels);
  result.constant_predictions = constant_predictions(task, logits);
  result.majority_scores = majority_scores(task, split.labels);
  result.examples = split.size();
  if (!request.predictions.empty()) write_predictions(request.predictions, task, rows, logits);
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace rankfold
