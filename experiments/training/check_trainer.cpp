#include "experiments/training/check_trainer.h"

#include "core/base/error.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/prompted_data.h"

namespace rankfold {

void check_trainer(const RunSettings& settings, const Task& task, bool tells_tokens) {
  if (settings.asks_in_words()) check_prompted(settings, tells_tokens);
  optimizer_settings(settings);
  const std::string &optimizer = settings.text("optimizer"),
                    &accumulate = settings.text("accumulate");
  if (optimizer.starts_with("zo-") && settings.count("accumulate") > 1)
    throw UsageError("--accumulate is {}; a step of {} takes one batch, expected 1", accumulate,
                     optimizer);
  if (optimizer == "zo-sgd" && settings.number("clip") > 0)
    throw UsageError("--clip is {}; zo-sgd forms no gradient that has a norm, expected 0",
                     settings.text("clip"));
  if (task.regression && settings.number("label-smoothing") > 0)
    throw UsageError("--label-smoothing is {}; task {} has numbers for labels, expected 0",
                     settings.text("label-smoothing"), task.name);
  if (settings.text("schedule") == "polynomial" &&
      settings.number("lr-end") > settings.number("lr"))
    throw UsageError("--lr-end is {}; expected at most --lr, which is {}", settings.text("lr-end"),
                     settings.text("lr"));
}

}  // namespace rankfold
