#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/adapter/registry.h"
#include "experiments/runs/run_result.h"
#include "experiments/runs/settings.h"
#include "experiments/training/data.h"

namespace rankfold {

/// Where a run stands, for a bar or plain lines.
struct TrainingProgress {
  std::size_t epoch = 0, epochs = 0;  ///< 1-based
  std::size_t step = 0, steps = 0;    ///< of the whole run, 1-based
  double loss = 0;                    ///< of this step
  double tokens_per_second = 0;       ///< since the start of training
};

/// Steps of a zeroth-order log that are taken again.
struct ReplayedSteps {
  std::filesystem::path log;
  std::size_t steps = 0;  ///< so many of them
};

/// What a caller of finetune may hook into or change; none of it is part of a run's identity.
struct FinetuneOptions {
  bool explain = false;                   ///< tell by `message` how the adapted sites are computed
  bool force = false;                     ///< runs again where --out already holds a finished run
  std::optional<ReplayedSteps> replayed;  ///< in place of training: see replay_zero_order
  std::function<void(const TrainingProgress&)> progress;
  ScoringProgress scoring;
  std::function<void(const std::string&)> message;  ///< one line for standard error
  /// Asked while it loads, before every step and while it scores; true stops the run (see
  /// interrupt.h).
  std::function<bool()> stop_requested;
};

/// One training run: model, task and method of `settings`; writes into `out` the event file, the
/// folder `adapter/` and, last and atomically, `run.json` (see RunFolder).
///
/// A folder that holds a finished run of the same settings on the same content (see
/// RunFingerprints) is left as it is (`skipped`); of other settings or content: UsageError naming
/// the file and the first difference. A loss, gradient, trained number or logit that is not finite,
/// or a loss above 10,000 times the first one's (and 10,000), in a step or on the scored examples
/// after an epoch, ends the run as "diverged": run.json is written and the result returned, nothing
/// thrown. Any other failure writes status "failed" with the message, where the folder is writable
/// and holds no earlier result, and throws; wrong settings (UsageError) and a missing model or data
/// folder leave no file. A stop request throws Error and leaves no run.json but an earlier one.
/// Same settings, seed and threads give the same bits.
RunResult finetune(const RunSettings& settings, const std::filesystem::path& out,
                   const Registry& registry, const FinetuneOptions& options = {});

}  // namespace rankfold
