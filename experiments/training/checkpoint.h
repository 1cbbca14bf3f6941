#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "experiments/runs/run_result.h"
#include "experiments/training/run_log.h"
#include "experiments/training/training_state.h"

namespace rankfold {

/// Where a run stands between two steps, beside what it has written down.
struct RunPosition {
  std::size_t epoch = 1;                 ///< 1-based, of the next batch,
  std::size_t batch = 0;                 ///< and its number in the epoch
  double loss_sum = 0, seconds = 0;      ///< of the epoch so far
  std::size_t epoch_examples = 0;        ///< likewise
  std::size_t tokens = 0, examples = 0;  ///< of the run so far
  double first_loss = 0;                 ///< of its first step
  double log_sum = 0;                    ///< of losses since the last event
  std::size_t log_count = 0;             ///< of these
  std::size_t kept = 0, since_kept = 0;  ///< the best evaluation, and those after it
};

/// All that a run goes on from. With it a run that was killed gives the bits of one that was not:
/// batches and random numbers are functions of seed, epoch and step, and everything else is here.
struct Checkpoint {
  RunResult run;  ///< settings, fingerprints, and what it has found out so far
  RunPosition position;
  TrainingState state;  ///< of the session; as "best/" the values that --keep best would save; the
                        ///< steps of a zeroth-order log
  std::vector<RunLog::Entry> log;  ///< what the event file was given
};

/// Writes the file whole or not at all: tensors as safetensors, the rest as text in its header,
/// with a hash over both. Throws Error naming it where it cannot be written.
void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);

/// Throws Error naming the file and why nothing can go on from it: cut short, altered, of another
/// version of the program.
Checkpoint read_checkpoint(const std::filesystem::path& file);

/// Whether the file is a checkpoint, or the beginning of one; so is an empty file.
bool is_checkpoint(const std::filesystem::path& file);

}  // namespace rankfold
