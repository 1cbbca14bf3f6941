#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

#include "core/adapter/registry.h"
#include "experiments/runs/settings.h"

namespace rankfold {

/// Where each run of a sweep goes below its output folder:
///
///   <task>/<model folder>/<method>/lr=5e-4/rank=8/<others, by name>=.../seed=42
///
/// lr, rank (where the method has one) and seed always stand there; another setting only where it
/// differs from its default, or where runs of the method differ in it. A setting that is missing in
/// a path therefore has its default, so that paths of unlike runs on one model and data folder
/// never meet, however a sweep grows; a setting that begins to vary may give a run a second path,
/// which is why finished runs are looked up by their settings. Characters of values other than
/// letters, digits and ._,+:- are written %XX.
class RunPaths {
 public:
  explicit RunPaths(const Registry& registry) : registry_(registry) {}

  /// First every run, in its canonical form, so that what varies is known.
  void add(const RunSettings& run);
  /// Then its path.
  std::filesystem::path path(const RunSettings& run);

 private:
  using Values = std::map<std::string, std::string>;
  struct Seen {
    std::string first;
    bool varies = false;
    std::size_t runs = 0;  ///< that have the setting
  };
  struct OfMethod {
    std::size_t runs = 0;
    std::map<std::string, Seen> settings;
    std::map<std::string, Values> defaults;  ///< by preset
  };

  const Values& defaults_of(const RunSettings& run, OfMethod& method) const;

  const Registry& registry_;
  std::map<std::string, OfMethod> methods_;
};

/// A value as a part of a path.
std::string path_safe(const std::string& value);

}  // namespace rankfold
