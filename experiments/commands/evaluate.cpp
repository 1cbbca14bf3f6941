#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/commands/command.h"
#include "experiments/commands/scoring_bar.h"
#include "experiments/commands/setting_options.h"
#include "experiments/tasks/table_file.h"
#include "experiments/training/evaluate.h"

namespace rankfold {
namespace {

int run_evaluate(const Arguments& arguments, Context& context) {
  EvaluationRequest request;
  request.model = arguments.text("model");
  request.adapter = arguments.text("adapter");
  request.task = arguments.text("task");
  request.data = arguments.text("data");
  request.text = arguments.text("text");
  request.label = arguments.text("label");
  request.dev = arguments.text("dev");
  request.metric = arguments.text("metric");
  request.scoring = arguments.text("scoring");
  request.prompt = arguments.text("prompt");
  if (arguments.has("seed")) request.seed = setting_count("seed", arguments.text("seed"));
  request.score_on = arguments.text("score-on");
  request.precision = arguments.text("precision");
  request.predictions = arguments.text("predictions");
  if (!request.predictions.empty()) {
    std::vector<std::filesystem::path> inputs = {request.model, request.adapter, request.data,
                                                 request.dev};
    if (is_table_file(request.task)) inputs.emplace_back(request.task);
    constexpr std::string_view beginnings[] = {"index\tprediction\tlabel"};
    expect_not_an_input(request.predictions, inputs);
    expect_replaceable(request.predictions, "file of predictions", beginnings);
  }
  request.batch = arguments.count("batch", request.batch);
  request.max_length = arguments.count("max-length", 0);
  request.threads = thread_count(arguments);
  if (request.adapter.empty() && request.task.empty())
    throw UsageError("evaluate: --task is missing; expected it or --adapter, which knows its task");
  if (request.data.empty() && !is_table_file(request.task))
    throw UsageError("evaluate: --data is missing; expected the task's folder, or a table's file");
  ScoringBar bar;
  request.progress = [&](std::size_t done, std::size_t examples) { bar.update(done, examples); };
  const Evaluation result = evaluate(request, context.registry);
  for (const std::string& note : result.notes) context.err << note << '\n';
  if (result.constant_predictions)
    context.err << "every scored row got the same answer; the score says nothing of the model\n";
  if (context.json) {
    const nlohmann::ordered_json document = {{"task", result.task},
                                             {"scores", result.scores},
                                             {"constant_predictions", result.constant_predictions},
                                             {"majority_scores", result.majority_scores},
                                             {"examples", result.examples},
                                             {"seconds", result.seconds}};
    context.out << document.dump(2) << '\n';
    return 0;
  }
  for (const auto& [metric, value] : result.scores)
    context.out << fmt::format("{} {} {:.6f}\n", result.task, metric, value);
  return 0;
}

}  // namespace

Command evaluate_command() {
  return {
      "evaluate",
      "scores a model, with or without an adapter, on a task's dev set",
      {},
      {{"model", "DIR", "", "model folder", true},
       {"adapter", "DIR", "", "a run's folder adapter/, or one of huggingface/peft; without it the model alone"},
       {"task", "NAME", "", "default: the adapter's; " + task_names()},
       {"data", "DIR", "",
        "as in finetune; train.tsv need not be there. Of a table, FILE as in --task"},
       {"text", "COLUMN", "", "of a table, as in finetune; default: the adapter's"},
       {"label", "COLUMN", "", "the same"},
       {"dev", "FILE", "", "of a table: another one, all of whose rows are scored"},
       {"metric", "NAME", "", "of a table; default: the adapter's"},
       {"scoring", "HOW", "",
        "head or prompt; default: the adapter's, else prompt for models that tell next tokens "
        "where the task has a prompt"},
       {"prompt", "TEXT", "", "of a table, as in finetune; default: the adapter's"},
       {"seed", "N", "",
        "by prompt: draws the rows that are scored; default: the adapter's, else 42"},
       {"score-on", "SPLIT", "", "dev or held-out; default: the adapter's, else dev"},
       {"precision", "TYPE", "", "f32 or bf16; default: the adapter's, else f32"},
       {"predictions", "FILE", "",
        "writes index, prediction, label, logits (or scores of options) and text of every row as "
        "TSV"},
       {"batch", "N", "", "sequences at once; default: the adapter's, else 32"},
       {"max-length", "N", "", "default: the adapter's, else 128 (by prompt: as in finetune)"},
       {"threads", "N", "", "default: all processors"}},
      "",
      run_evaluate,
      {}};
}

}  // namespace rankfold
