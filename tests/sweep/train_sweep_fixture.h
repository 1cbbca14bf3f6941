#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/sweep/train_sweep.h"
#include "sweep/sweep_fixture.h"

namespace rankfold {

/// A sweep over a tiny model whose runs are a shell script instead of training.
class TrainSweep : public testing::Test {
 protected:
  TrainSweep() {
    write_tiny_model(folder_.path / "tiny");
    std::filesystem::create_directories(folder_.path / "data");
    out_ = folder_.path / "out";
    lines_ = "model = " + (folder_.path / "tiny").string() +
             "\ndata = " + (folder_.path / "data").string() +
             "\ntask = sst2\nlr = 1e-3\nmax-length = 32\n";
  }

  std::vector<SweepRun> plan(const std::string& more) {
    return plan_runs(runs_of(lines_ + more), out_, registry_, contents_,
                     {.rerun_changed = rerun_changed_})
        .runs;
  }

  /// A script in place of the program: it finds run.json in the file `result`, one a folder, and
  /// notes its call.
  TrainSweepOptions options_for(const std::vector<SweepRun>& runs,
                                const std::string& status = "done", int exit_status = 0) {
    for (const SweepRun& planned : runs) {
      RunResult result;
      result.settings = settings_of(planned, registry_);
      result.status = status;
      result.scores = {{"accuracy", 0.5}};
      result.train_seconds = 6;
      result.fingerprints = {"xxh64-1", "xxh64-2", "xxh64-3"};
      write_atomically(planned.folder / "result", to_json_text(result));
    }
    TrainSweepOptions options;
    options.program = {"/bin/sh", "-c",
                       "for word; do case $word in --out=*) out=${word#--out=};; esac; done; "
                       "echo \"$@\" >> \"$out/calls\"; cp \"$out/result\" \"$out/run.json\"; "
                       "echo the last words; exit " +
                           std::to_string(exit_status),
                       "sh"};
    return options;
  }
  bool run(std::vector<SweepRun>& runs, const std::string& status = "done", int exit_status = 0) {
    return run_sweep(runs, out_, registry_, options_for(runs, status, exit_status));
  }

  static std::string name_of(const SweepRun& run) { return "rank=" + run.given.text("rank"); }
  static std::ptrdiff_t calls_of(const SweepRun& run) {
    const std::filesystem::path file = run.folder / "calls";
    const std::string calls = std::filesystem::exists(file) ? read_text(file) : "";
    return std::ranges::count(calls, '\n');
  }

  TemporaryFolder folder_;
  Registry registry_ = builtin_registry();
  Contents contents_;
  bool rerun_changed_ = false;
  std::filesystem::path out_;
  std::string lines_;
};

}  // namespace rankfold
