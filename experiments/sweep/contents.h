#pragma once

#include <map>
#include <string>

#include "experiments/runs/fingerprint.h"
#include "experiments/runs/settings.h"

namespace rankfold {

/// What lies under the models and data of a sweep's runs, read once: as it was when it was first
/// asked for.
class Contents {
 public:
  /// Unknown where the model or the rows cannot be read.
  const RunFingerprints& of(const RunSettings& run);

 private:
  FingerprintStore store_;
  KnownFolders known_folders_;
  std::map<std::string, RunFingerprints> known_;
};

}  // namespace rankfold
