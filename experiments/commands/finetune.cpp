#include <fmt/core.h>

#include "core/base/error.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"
#include "experiments/commands/training_bars.h"
#include "experiments/training/interrupt.h"
#include "experiments/training/trainer.h"

namespace rankfold {
namespace {

/// "accuracy 0.9123, f1 0.9011".
std::string scores_text(const std::map<std::string, double>& scores) {
  std::string text;
  for (const auto& [metric, value] : scores)
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ", metric, value);
  return text;
}

/// " at step 40 of 120, the best of 6 evaluations by loss"; "" where the last evaluation is told.
std::string kept_text(const RunResult& run) {
  if (run.status != "done" || run.settings.text("keep") != "best") return "";
  return fmt::format(" at step {} of {}, the best of {} by {}", run.kept_step, run.steps,
                     counted(run.evaluations.size(), "evaluation", "evaluations"),
                     run.settings.text("keep-by"));
}

std::string run_text(const RunResult& run, const std::string& out) {
  const std::string rank = run.settings.text("rank");
  const std::string scores = run.status == "done" ? scores_text(run.scores) + kept_text(run)
                                                  : fmt::format("{} ({})", run.status, run.error);
  return fmt::format("{} {}{}: {}; adapter {}, trainable {} parameters; {:.1f} s; {}",
                     run.settings.text("task"), run.settings.text("method"),
                     rank.empty() ? "" : " rank " + rank, scores, run.parameters.adapter,
                     run.parameters.trainable, run.train_seconds, out);
}

int run_finetune(const Arguments& arguments, Context& context) {
  const InterruptGuard guard;
  TrainingBars bars(context.err);
  FinetuneOptions options = bars.hooks();
  options.force = arguments.has("force");
  options.explain = arguments.has("explain");
  const std::string out = arguments.text("out");
  RunSettings settings = given_settings(arguments);
  if (arguments.has("budget")) {
    const Method& method = context.registry.at(arguments.text("method"));
    settings = settings_within_budget(arguments, method, read_shape(arguments.text("model")));
    if (method.has_rank)
      context.err << fmt::format("[{}] --budget {} chooses rank {}\n", method.name,
                                 arguments.count("budget", 1), settings.text("rank"));
  }
  const RunResult result = finetune(settings, out, context.registry, options);
  if (context.json)
    context.out << to_json_text(result);
  else
    context.out << run_text(result, out) << '\n';
  return result.exit_status();
}

}  // namespace

Command finetune_command() {
  std::vector<Option> options = setting_options(true);
  options.push_back(budget_option());
  options.push_back(set_option());
  options.push_back({"out", "DIR", "", "results: run.json, event file, adapter/", true});
  options.push_back({"explain", "", "", "tell how each adapted site is computed, and why"});
  options.push_back({"force", "", "", "run again where --out holds a finished run"});
  return {"finetune",
          "trains one adapter on one task",
          {},
          options,
          "run.json in --out tells settings, parameters, scores and speed. A finished run is not "
          "repeated.",
          run_finetune,
          {}};
}

}  // namespace rankfold
