#include "experiments/sweep/sweep.h"

namespace rankfold {

const std::vector<SettingSpec>& sweep_settings() {
  using enum SettingKind;
  static const std::vector<SettingSpec> specs = {
      {.name = "kind",
       .value = "KIND",
       .fallback = "train",
       .meaning =
           "train: runs the grid; count: writes counts.csv; fit: fits updates and writes fits.csv",
       .kind = choice,
       .choices = {"train", "count", "fit"}},
      {.name = "out", .value = "DIR", .meaning = "results", .kind = folder},
      {.name = "jobs",
       .value = "N",
       .fallback = "1",
       .meaning = "runs at a time, each a process",
       .kind = count},
      {.name = "budget",
       .value = "N",
       .meaning = "instead of rank: the largest rank with at most N adapter parameters",
       .kind = count},
      {.name = "labels",
       .value = "N",
       .fallback = "2",
       .meaning = "kind count: outputs of the head",
       .kind = count},
      {.name = "input",
       .value = "FILE",
       .meaning = "kind fit: updates, .npy (layers, out, in) or .safetensors"},
      {.name = "minus", .value = "FILE", .meaning = "kind fit: subtracted first"},
      {.name = "heads",
       .value = "N",
       .fallback = "1",
       .meaning = "kind fit: attention heads of every matrix",
       .kind = count},
      {.name = "starts",
       .value = "N",
       .meaning = "kind fit: random starts, as in `rankfold fit`",
       .kind = count},
      {.name = "tolerance",
       .value = "X",
       .fallback = "1e-6",
       .meaning = "kind fit: a sweep that gains less is the last",
       .kind = number},
      {.name = "iterations",
       .value = "N",
       .meaning = "kind fit: sweeps at most, as in `rankfold fit`",
       .kind = count},
  };
  return specs;
}

}  // namespace rankfold
