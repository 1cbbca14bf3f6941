#include <fmt/core.h>

#include "core/base/json_value.h"
#include "core/base/text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/training_bars.h"
#include "experiments/training/interrupt.h"
#include "experiments/training/rerun.h"

namespace rankfold {
namespace {

JsonValue to_json(const Rerun& found, const std::string& run) {
  JsonValue document = {{"run", run},
                        {"same", found.same()},
                        {"status", found.repeated_status},
                        {"tensors", found.tensors},
                        {"differing", found.differing},
                        {"notes", found.notes}};
  JsonValue scores = JsonValue::object();
  for (const auto& [metric, value] : found.scores) {
    const auto again = found.repeated_scores.find(metric);
    scores[metric] = {
        {"reported", value},
        {"repeated",
         again == found.repeated_scores.end() ? JsonValue(nullptr) : JsonValue(again->second)}};
  }
  document["scores"] = scores;
  return document;
}

void print(const Rerun& found, std::ostream& out) {
  out << (found.same() ? fmt::format("the same bits: {} tensors", found.tensors)
          : found.repeated_status == "done"
              ? fmt::format("differs: {} of {} tensors{}", found.differing.size(), found.tensors,
                            found.differing.empty() ? "" : ", the first " + found.differing.front())
              : "differs: the run is " + found.repeated_status + " now");
  for (const auto& [metric, value] : found.scores) {
    const auto again = found.repeated_scores.find(metric);
    out << fmt::format(", {} {:.6f}", metric, value);
    if (again != found.repeated_scores.end() && again->second != value)
      out << fmt::format(" then, {:.6f} now", again->second);
  }
  out << '\n';
}

int run_rerun(const Arguments& arguments, Context& context) {
  const InterruptGuard guard;
  const std::string run = arguments.positional(0);
  TrainingBars bars(context.err);
  const Rerun found =
      rerun(run, arguments.text("out"), arguments.has("replay"), context.registry, bars.hooks());
  if (!found.same())
    for (const std::string& note : found.notes) context.err << note << '\n';
  if (context.json)
    context.out << to_json(found, run).text();
  else
    print(found, context.out);
  return found.same() ? 0 : 1;
}

}  // namespace

Command rerun_command() {
  return {"rerun",
          "repeats one run and compares its bits",
          {{"RUN"}},
          {{"out", "DIR", "", "keeps the new run there; default: a temporary folder"},
           {"replay", "", "",
            "of a zeroth-order run: takes the steps of its log again: no forward passes but those "
            "of scoring"}},
          "Exit status 0: adapter and scores are the same bits; 1: they are not.",
          run_rerun,
          {}};
}

}  // namespace rankfold
