#include <algorithm>
#include <cmath>

#include "core/base/memory_error.h"
#include "core/base/progress.h"
#include "core/base/text.h"
#include "experiments/training/training_run.h"

// The steps and evaluations of TrainingRun.

namespace rankfold {
namespace {

constexpr std::size_t steps_between_events = 10;
// No run comes back from a loss so far above where it began, although layer norms keep it finite.
constexpr double loss_explosion = 1e4;
constexpr const char* best_prefix = "best/";

}  // namespace

void TrainingRun::train() {
  try {
    train_epochs();
  } catch (const RunDiverged&) {
    log_->finish_diverged(result_.evaluations.empty() ? std::map<std::string, double>()
                                                      : result_.evaluations.front().scores,
                          step());
    throw;
  }
}

void TrainingRun::train_epochs() {
  start_ = checkpoint_time_ = Clock::now();
  start_step_ = step();
  if (options_.replayed)
    replay();
  else
    while (!is_over()) train_epoch();
  take_kept();
  count_parameters();
  log_->finish(result_, step());
}

void TrainingRun::replay() {
  for (const ZeroOrderStep& taken :
       replay_zero_order(options_.replayed->log, *session_, options_.replayed->steps))
    zero_order_log_->add(taken);
  if (step() < options_.replayed->steps)
    throw Error("{}: ends after step {}, expected the {} steps of its run",
                printable(options_.replayed->log.string()), step(), options_.replayed->steps);
  result_.steps = step();
  evaluate(false);
}

void TrainingRun::train_epoch() {
  const auto batches = epoch_batches(data_->size(), batch_, seed_, position_.epoch);
  while (!is_over()) {
    try {
      check_stop();
    } catch (const RunStopped&) {
      if (keeps_checkpoints() && step() > start_step_) save_checkpoint();
      throw;
    }
    const Clock::time_point start = Clock::now();
    const double loss = take_step(batches);
    const double seconds = seconds_since(start);
    position_.seconds += seconds;
    result_.train_seconds += seconds;
    result_.tokens_per_second = static_cast<double>(position_.tokens) / result_.train_seconds;
    result_.examples_per_second = static_cast<double>(position_.examples) / result_.train_seconds;
    if (options_.progress)
      options_.progress(
          {position_.epoch, epochs_, step(), steps_, loss, result_.tokens_per_second});
    const bool after_epoch = position_.batch == batches.size() || step() == steps_;
    if (after_epoch) end_epoch();
    if (evaluate_every_ > 0 ? step() % evaluate_every_ == 0 || step() == steps_ : after_epoch)
      evaluate(after_epoch);
    if (result_.stopped_early && !after_epoch) end_epoch();
    save_checkpoint_when_due();
    if (after_epoch) return;
  }
}

void TrainingRun::end_epoch() {
  result_.epochs.push_back({position_.epoch,
                            position_.loss_sum / static_cast<double>(position_.epoch_examples),
                            {},
                            position_.seconds});
  ++position_.epoch;
  position_.batch = position_.epoch_examples = 0;
  position_.loss_sum = position_.seconds = 0;
}

double TrainingRun::take_step(const std::vector<std::vector<std::size_t>>& batches) {
  const double rate = schedule_.rate * schedule_.factor(step());
  std::size_t examples = 0;
  double loss = 0;
  for (std::size_t n = 0; n < accumulate_ && position_.batch < batches.size(); ++n) {
    const std::vector<std::size_t>& chosen = batches[position_.batch++];
    const Batch batch = data_->pack(chosen);
    loss = with_memory_for(
        fmt::format("step {} of {}, a batch of {} tokens", step() + (n == 0), steps_,
                    batch.tokens()),
        0,
        [&] { return n == 0 ? session_->form_gradients(batch) : session_->add_gradients(batch); });
    examples += chosen.size();
    position_.tokens += batch.tokens();
  }
  position_.examples += examples;
  position_.epoch_examples += examples;
  position_.loss_sum += loss * static_cast<double>(examples);
  result_.steps = step();
  result_.forwards = session_->forwards();
  if (step() == 1) position_.first_loss = loss;
  check_loss("the loss", loss);
  const double norm = session_->norm();
  if (!std::isfinite(norm)) throw RunDiverged("a gradient is not finite", step());
  const double scale = clip_scale(norm, clip_);
  if (!session_->update(rate, scale)) throw RunDiverged("an update is not finite", step());
  if (zero_order_log_) {
    const auto projections = session_->projections();
    zero_order_log_->add({rate, scale, {projections.begin(), projections.end()}});
  }

  position_.log_sum += loss;
  ++position_.log_count;
  const double share = static_cast<double>(position_.batch) / static_cast<double>(batches.size());
  if (step() % steps_between_events == 0 || position_.batch == batches.size() || step() == steps_)
    log_step(rate, norm, static_cast<double>(position_.epoch - 1) + share);
  return loss;
}

void TrainingRun::check_loss(const char* name, double loss) const {
  if (!std::isfinite(loss)) throw RunDiverged(fmt::format("{} is not finite", name), step());
  if (loss > loss_explosion * std::max(1.0, position_.first_loss)) {
    throw RunDiverged(
        fmt::format("{} is {:.3g}, and training began at {:.3g}", name, loss, position_.first_loss),
        step());
  }
}

void TrainingRun::log_step(double rate, double norm, double epoch) {
  log_->scalar("train/loss", position_.log_sum / static_cast<double>(position_.log_count), step());
  log_->scalar(
      settings_.text("optimizer") == "zo-sgd" ? "train/projected_gradient" : "train/grad_norm",
      norm, step());
  log_->scalar("train/learning_rate", rate, step());
  log_->scalar("train/epoch", epoch, step());
  if (zero_order_log_)
    log_->scalar("train/forwards", static_cast<double>(session_->forwards()), step());
  if (const LowRankTraining* adapting = session_->low_rank())
    log_->scalar("train/rank", adapting->mean_rank(), step());
  position_.log_sum = 0;
  position_.log_count = 0;
}

void TrainingRun::evaluate(bool after_epoch) {
  for (const TrainedSpan& tensor : session_->tensors()) {
    const HostRead<float> values(session_->device(), tensor.value.data(), tensor.value.size());
    if (!std::ranges::all_of(values.span(), [](float value) { return std::isfinite(value); })) {
      throw RunDiverged(fmt::format("{} is not finite", tensor.name), step());
    }
  }
  const ScoringProgress progress = [this](std::size_t done, std::size_t examples) {
    check_stop();
    if (options_.scoring) options_.scoring(done, examples);
  };
  const SplitScores scored = data_->score(session_->host(), batch_, progress);
  if (!scored.finite) throw RunDiverged("a logit is not finite", step());
  check_loss("the loss on the scored examples", scored.loss);
  EvaluationResult latest;
  latest.step = step();
  latest.loss = scored.loss;
  latest.scores = scored.scores;
  latest.constant_predictions = scored.constant;
  if (after_epoch) result_.epochs.back().scores = latest.scores;
  log_->scalar("eval/loss", latest.loss, step());
  log_->scores(latest.scores, step());
  const auto majority = result_.majority_scores.find(task_.metrics.front());
  log_->judgement(
      latest.constant_predictions,
      majority == result_.majority_scores.end() ? std::nullopt : std::optional(majority->second),
      step());
  if (options_.message) options_.message(progress_line(latest, after_epoch));
  compare(latest);
}

/// Whether it is the best so far, which is kept, and whether there has been none for long enough.
void TrainingRun::compare(const EvaluationResult& latest) {
  const std::string& metric = task_.metrics.front();
  const bool by_loss = settings_.text("keep-by") == "loss";
  std::vector<EvaluationResult>& all = result_.evaluations;
  const bool better =
      all.empty() || (by_loss ? latest.loss < all[position_.kept].loss
                              : latest.scores.at(metric) > all[position_.kept].scores.at(metric));
  all.push_back(latest);
  if (better) {
    position_.kept = all.size() - 1;
    if (keeps_best()) session_->save_values(best_prefix, best_);
  }
  position_.since_kept = all.size() - 1 - position_.kept;
  const std::size_t patience = settings_.count("patience");
  if (patience == 0 || position_.since_kept < patience || step() == steps_) return;
  result_.stopped_early = true;
  if (options_.message)
    options_.message(fmt::format("no better {} for {} evaluations: stopped after step {} of {}",
                                 by_loss ? "loss" : metric, patience, step(), steps_));
}

/// What the run reports: its last evaluation, or the best one, whose values come back.
void TrainingRun::take_kept() {
  const EvaluationResult& kept =
      keeps_best() ? result_.evaluations[position_.kept] : result_.evaluations.back();
  if (keeps_best() && position_.kept + 1 < result_.evaluations.size())
    session_->restore_values(best_prefix, best_);
  result_.kept_step = kept.step;
  result_.scores = kept.scores;
  result_.constant_predictions = kept.constant_predictions;
}

/// "epoch 2 of 3: loss 0.6125, accuracy 0.7412, 5120 tokens/s, 0:48 left"; within an epoch the step
/// and the loss of the scored examples.
std::string TrainingRun::progress_line(const EvaluationResult& latest, bool after_epoch) const {
  std::string text;
  for (const auto& [metric, value] : latest.scores)
    text += fmt::format(", {} {:.4f}", metric, value);
  if (const LowRankTraining* adapting = session_->low_rank())
    text += fmt::format(", mean rank {:.1f}", adapting->mean_rank());
  std::string left;
  if (step() < steps_ && !options_.replayed)
    left = fmt::format(", {} left", duration_text(seconds_since(start_) /
                                                  static_cast<double>(step() - start_step_) *
                                                  static_cast<double>(steps_ - step())));
  const std::string where =
      after_epoch
          ? fmt::format("epoch {} of {}: loss {:.4f}", result_.epochs.back().epoch, epochs_,
                        result_.epochs.back().loss)
          : fmt::format("step {} of {}: loss {:.4f} when scored", step(), steps_, latest.loss);
  const std::string speed = result_.tokens_per_second > 0
                                ? fmt::format(", {:.0f} tokens/s", result_.tokens_per_second)
                                : "";
  return fmt::format("{}{}{}{}", where, text, speed, left);
}

}  // namespace rankfold
