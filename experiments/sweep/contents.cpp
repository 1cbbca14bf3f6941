#include "experiments/sweep/contents.h"

#include <filesystem>

#include "core/base/error.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {

const RunFingerprints& Contents::of(const RunSettings& run) {
  RunSettings asked;
  for (const char* name : {"task", "max-train", "score-on"}) asked.values[name] = run.text(name);
  for (const char* name : {"model", "data"}) {
    std::string& real = real_[run.text(name)];
    std::error_code failure;
    if (real.empty()) real = std::filesystem::weakly_canonical(run.text(name), failure).string();
    asked.values[name] = real;
  }
  const auto [known, is_new] = known_.try_emplace(settings_text(asked));
  if (!is_new) return known->second;
  try {
    known->second = store_.of(asked);
  } catch (const Error&) {
  }
  return known->second;
}

}  // namespace rankfold
