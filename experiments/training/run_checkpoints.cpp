#include <system_error>

#include "experiments/training/training_run.h"

// How TrainingRun goes on from a checkpoint, and leaves them.

namespace rankfold {
namespace {

constexpr const char* logged_name = "zero-order/steps";

/// Rate, scale and projections of every step, end to end.
std::vector<double> flat(const std::vector<ZeroOrderStep>& steps) {
  std::vector<double> numbers;
  for (const ZeroOrderStep& step : steps) {
    numbers.push_back(step.rate);
    numbers.push_back(step.gradient_scale);
    numbers.insert(numbers.end(), step.projections.begin(), step.projections.end());
  }
  return numbers;
}

}  // namespace

std::vector<ZeroOrderStep> logged_steps(const TrainingState& state, std::size_t samples) {
  std::vector<ZeroOrderStep> steps;
  const std::span<const double> numbers = state.doubles_at(logged_name);
  const std::size_t width = samples + 2;
  if (numbers.size() % width != 0)
    throw Error("training state: '{}' has {} numbers, expected {} a step", logged_name,
                numbers.size(), width);
  for (std::size_t begin = 0; begin < numbers.size(); begin += width) {
    const auto step = numbers.subspan(begin, width);
    steps.push_back({step[0], step[1], {step.begin() + 2, step.end()}});
  }
  return steps;
}

bool TrainingRun::keeps_checkpoints() const {
  return settings_.number("checkpoint-every") > 0 || settings_.count("checkpoint-steps") > 0;
}

/// The checkpoint that lies in the folder; none where it cannot be read, which is told. Throws
/// UsageError where it is that of another run.
std::optional<Checkpoint> TrainingRun::find_checkpoint() const {
  const std::filesystem::path file = folder_.checkpoint();
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  const auto tell = [&](const std::string& line) {
    if (options_.message) options_.message(line);
  };
  std::optional<Checkpoint> found;
  try {
    found = read_checkpoint(file);
  } catch (const Error& failure) {
    tell(fmt::format("{}; the run starts anew", failure.what()));
    return std::nullopt;
  }
  std::string difference =
      first_difference(identity(found->run.settings, registry_), identity(settings_, registry_));
  if (difference.empty())
    difference = first_difference(found->run.fingerprints, result_.fingerprints);
  if (difference.empty()) return found;
  if (!options_.force)
    throw UsageError(
        "{}: is the checkpoint of another run ({}); choose another --out, or --force to start anew",
        file.string(), difference);
  tell(fmt::format("{}: is the checkpoint of another run ({}); the run starts anew", file.string(),
                   difference));
  return std::nullopt;
}

void TrainingRun::go_on_from(const Checkpoint& checkpoint) {
  session_->restore(checkpoint.state);
  position_ = checkpoint.position;
  for (const auto& [name, values] : checkpoint.state.floats)
    if (name.starts_with("best/")) best_.floats[name] = values;
  for (const auto& [name, values] : checkpoint.state.doubles)
    if (name.starts_with("best/")) best_.doubles[name] = values;
  const RunResult& run = checkpoint.run;
  result_.epochs = run.epochs;
  result_.evaluations = run.evaluations;
  result_.stopped_early = run.stopped_early;
  result_.steps = session_->steps();
  result_.forwards = session_->forwards();
  result_.tokens_per_second = run.tokens_per_second;
  result_.examples_per_second = run.examples_per_second;
  result_.train_seconds = run.train_seconds;
  for (const RunLog::Entry& entry : checkpoint.log)
    log_->scalar(entry.tag, entry.value, entry.step);
  if (options_.message)
    options_.message(
        fmt::format("goes on from the checkpoint behind step {} of {}", step(), steps_));
}

void TrainingRun::save_checkpoint_when_due() {
  const double every = settings_.number("checkpoint-every");
  const std::size_t steps = settings_.count("checkpoint-steps");
  const bool by_time = every > 0 && seconds_since(checkpoint_time_) >= every;
  const bool by_steps = steps > 0 && step() % steps == 0;
  if ((by_time || by_steps) && !is_over()) save_checkpoint();
}

void TrainingRun::save_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.run = result_;
  checkpoint.position = position_;
  session_->save(checkpoint.state);
  checkpoint.state.floats.insert(best_.floats.begin(), best_.floats.end());
  checkpoint.state.doubles.insert(best_.doubles.begin(), best_.doubles.end());
  if (zero_order_log_) checkpoint.state.doubles[logged_name] = flat(zero_order_log_->steps());
  checkpoint.log = log_->entries();
  write_checkpoint(folder_.checkpoint(), checkpoint);
  checkpoint_time_ = Clock::now();
}

}  // namespace rankfold
