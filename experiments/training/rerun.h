#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/training/trainer.h"

namespace rankfold {

/// A finished run beside what its settings give now.
struct Rerun {
  RunSettings settings;
  std::size_t tensors = 0;             ///< of the adapter's file
  std::vector<std::string> differing;  ///< those whose bits differ, or that only one run has
  std::map<std::string, double> scores, repeated_scores;
  std::string repeated_status;     ///< as RunResult::status
  std::vector<std::string> notes;  ///< another machine or version: what may explain a difference

  bool same() const {
    return repeated_status == "done" && differing.empty() && scores == repeated_scores;
  }
};

/// Repeats the run of a folder and compares adapter and scores bit by bit. The new run is written
/// into `out`, which is kept; "": into a temporary folder, which is not. With `replay` its
/// zeroth-order log is replayed up to the step whose values it kept, without any forward pass but
/// those of scoring (MeZO, arXiv 2305.17333, section 2.1: a seed and a projected gradient a step
/// tell the whole run).
///
/// Throws UsageError where the folder has no finished run, a run that is replayed has no log, or
/// `out` holds another run; Error where model or rows are not what the run read, and as finetune.
Rerun rerun(const std::filesystem::path& run, const std::filesystem::path& out, bool replay,
            const Registry& registry, FinetuneOptions options = {});

}  // namespace rankfold
