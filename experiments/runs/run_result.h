#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "experiments/runs/fingerprint.h"
#include "experiments/runs/settings.h"

namespace rankfold {

struct EpochResult {
  std::size_t epoch = 0;                 ///< 1-based
  double loss = 0;                       ///< mean training loss over its examples
  std::map<std::string, double> scores;  ///< at its end; none where the run was not scored there
  double seconds = 0;                    ///< of its training steps
};

struct EvaluationResult {
  std::size_t step = 0;  ///< steps taken before it
  double loss = 0;       ///< mean over the scored examples, of plain labels
  std::map<std::string, double> scores;
  /// Every scored row got one answer; see metrics.h.
  bool constant_predictions = false;
};

struct ParameterCounts {
  std::size_t adapter = 0;          ///< trainable numbers of the adapter
  std::size_t head = 0;             ///< trained numbers of the host itself: head, norms
  std::size_t trainable = 0;        ///< adapter + head
  std::size_t total = 0;            ///< of the model with its head and the adapter
  std::size_t largest_adapter = 0;  ///< where ranks adapt: the most while it trained; else 0
};

/// What run.json tells, in its order.
struct RunResult {
  RunSettings settings;                      ///< canonical
  std::string status;                        ///< "done", "failed" or "diverged"
  std::string error;                         ///< why it is not "done"
  std::size_t failed_step = 0;               ///< of a diverged run, 1-based
  bool skipped = false;                      ///< it was finished already; nothing was computed
  std::map<std::string, double> dropout;     ///< of the network, in effect: hidden, attention, ...
  std::vector<std::string> notes;            ///< what the method chose: Method::notes
  std::vector<std::string> plans;            ///< how the adapted sites were computed: explain_plans
  ParameterCounts parameters;                ///< as the adapter is stored
  std::map<std::string, std::size_t> ranks;  ///< by site, where each has its own
  RunFingerprints fingerprints;              ///< of what was read
  std::map<std::string, double> scores;      ///< of the kept evaluation; empty unless done
  /// It gave every scored row one answer: the score says nothing (a correlation, which is undefined
  /// then, stands as 0; see metrics.h).
  bool constant_predictions = false;
  std::map<std::string, double> majority_scores;  ///< of the largest class; see metrics.h
  std::vector<EpochResult> epochs;                ///< the last one may have been cut short
  std::vector<EvaluationResult> evaluations;
  std::size_t kept_step = 0;   ///< of the evaluation whose scores and adapter the run reports
  bool stopped_early = false;  ///< by --patience
  std::size_t steps = 0;       ///< that were taken
  std::size_t forwards = 0;    ///< passes through the network for them, with or without a backward
  double tokens_per_second = 0;  ///< real tokens over train_seconds
  double examples_per_second = 0;
  double train_seconds = 0;  ///< the training loop: no loading, tokenising, evaluation
  std::size_t adapted_layers = 0;
  double peak_memory_mib = 0;  ///< maximum resident set of the process

  int exit_status() const { return status == "done" ? 0 : 1; }
};

/// The settings that are given, in the order of run_settings: numerical ones as numbers; the
/// method's own keys stand as "<method>.<key>".
nlohmann::ordered_json settings_document(const RunSettings& settings);

/// The document of run.json, one line a member, with the machine and the versions of this program.
std::string to_json_text(const RunResult& result);

/// A run.json read back; throws Error naming the file and what is wrong with it.
RunResult read_run(const std::filesystem::path& file);

/// The same of a document's text, which `name` stands for in messages.
RunResult parse_run_text(std::string_view text, const std::filesystem::path& name);

/// The run that a results folder holds, if its run.json is there and whole; a file that is not a
/// run.json (half-written by other means, of another format) counts as none. RunFolder refuses to
/// write over it.
std::optional<RunResult> find_run(const std::filesystem::path& folder);

}  // namespace rankfold
