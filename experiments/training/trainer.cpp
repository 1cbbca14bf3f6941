#include "experiments/training/trainer.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "experiments/models/host.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/shapes.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/training_run.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::string document_of(RunResult& result) {
  result.peak_memory_mib = peak_memory_mib();
  return to_json_text(result);
}

void tell(const FinetuneOptions& options, const std::string& line) {
  if (options.message) options.message(line);
}

/// Whether a finished run is the one that is asked for: its settings, and what was read under its
/// paths.
void expect_same_run(const RunResult& previous, const RunSettings& settings, const fs::path& out,
                     const Registry& registry, const FinetuneOptions& options) {
  const std::string file = printable((out / "run.json").string());
  const std::string difference =
      first_difference(identity(previous.settings, registry), identity(settings, registry));
  if (!difference.empty())
    throw UsageError("{} holds a finished run of other settings ({}); choose another --out", file,
                     difference);
  if (is_unknown(previous.fingerprints))
    return tell(options,
                fmt::format("{}: an older version wrote it and kept no fingerprints; whether the "
                            "model and the rows are still the same is not known",
                            file));
  RunFingerprints now;
  try {
    now = FingerprintStore().of(settings);
  } catch (const Error& failure) {
    return tell(options, fmt::format("{}: whether the model and the rows are still the same is not "
                                     "known: {}",
                                     file, failure.what()));
  }
  if (const std::string other = first_difference(previous.fingerprints, now); !other.empty())
    throw UsageError(
        "{} holds a finished run of these settings, but {}; choose another --out, or --force to "
        "run again",
        file, other);
}

/// "every scored row got the same answer: accuracy 0.5092 is ..."
std::string constant_notice(const Task& task, const RunResult& result) {
  if (task.regression)
    return fmt::format("every scored row got the same number: {} is undefined and stands as 0",
                       join(task.metrics, " and "));
  if (result.majority_scores.empty())
    return "every scored row got the same answer: the score says nothing of the model";
  std::string scores;
  for (const auto& [metric, value] : result.majority_scores)
    scores += fmt::format("{}{} {:.4f}", scores.empty() ? "" : ", ", metric, value);
  return fmt::format(
      "every scored row got the same class, as without any training (the largest class alone: {})",
      scores);
}

/// With what the model decides. One that cannot be read is refused where it is loaded.
RunSettings filled_from_model(RunSettings settings, const Method& method) {
  fill_table(settings);
  const std::string& model = settings.text("model");
  try {
    const ModelShape shape = read_shape(model);
    fill_targets(settings, method, catalogue(shape));
    fill_scoring(settings, tells_tokens(model), positions_left(settings, method, shape.positions));
  } catch (const Error&) {
  }
  return settings;
}

}  // namespace

RunResult finetune(const RunSettings& settings, const fs::path& out, const Registry& registry,
                   const FinetuneOptions& options) {
  check_settings(settings);
  const Method& method = registry.at(settings.text("method"));
  RunResult result;
  result.settings = canonical(filled_from_model(settings, method), &method);
  const Task task = find_task(task_choice(result.settings));
  const bool threads_are_free = settings.text("threads").empty();
  if (threads_are_free) result.settings.values["threads"] = std::to_string(cpu_count());

  if (auto previous = find_run(out); previous && previous->status == "done" && !options.force) {
    RunSettings expected = result.settings;
    if (threads_are_free) expected.values["threads"] = previous->settings.text("threads");
    expect_same_run(*previous, expected, out, registry, options);
    tell(options, fmt::format("{} is finished already", out.string()));
    previous->skipped = true;
    return *previous;
  }

  check_model_folder(settings.text("model"));
  if (!is_table_file(result.settings.text("data"))) check_data_folder(settings.text("data"));
  check_precision(settings.text("precision"));
  RunFolder folder(out, result.settings, options.force);
  if (!folder.unreadable().empty()) tell(options, folder.unreadable() + "; the run is repeated");
  set_threads(static_cast<int>(result.settings.count("threads")));
  try {
    TrainingRun run(task, registry, folder, options, result);
    run.load();
    run.train();
    run.save();
    result.status = "done";
    folder.finish(document_of(result));
  } catch (const UsageError&) {
    throw;
  } catch (const RunStopped&) {
    throw;
  } catch (const RunDiverged& failure) {
    result.status = "diverged";
    result.error = failure.what();
    result.failed_step = failure.step;
    folder.finish(document_of(result));
    tell(options, result.error);
  } catch (const std::exception& failure) {
    result.status = "failed";
    result.error = failure.what();
    try {
      if (!folder.fail(document_of(result)))
        tell(options, fmt::format("the earlier run in {} is kept", out.string()));
    } catch (const Error&) {
      // The first failure is the one to report.
    }
    throw;
  }
  if (result.status == "done" && result.constant_predictions)
    tell(options, constant_notice(task, result));
  return result;
}

}  // namespace rankfold
