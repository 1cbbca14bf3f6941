#include "experiments/training/training_run.h"

#include <algorithm>
#include <cmath>

#include "core/adapter/explain.h"
#include "core/base/memory_error.h"
#include "core/base/progress.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/updated_modules.h"
#include "experiments/models/shapes.h"
#include "experiments/models/trained_parts.h"
#include "experiments/tasks/metrics.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/start_samples.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t steps_between_events = 10;
// No run comes back from a loss so far above where it began, although layer norms keep it finite.
constexpr double loss_explosion = 1e4;

std::vector<float> labels_of(const std::vector<Example>& rows) {
  std::vector<float> labels;
  for (const Example& row : rows) labels.push_back(row.label);
  return labels;
}

}  // namespace

void TrainingRun::load() {
  const fs::path model = settings_.text("model");
  const auto device = make_calibrated_device();
  expect_trainable(settings_.text("targets"));
  // Refuses parts that do not go together, as count does.
  const std::string train = all_trained_parts(settings_.text("train"), method_);
  trained_part_parameters(read_shape(model), train, task_.labels,
                          tensor_train_head_rank(settings_.text("rank")));

  HostSettings wanted = host_settings(settings_, seed_);
  wanted.labels = task_.labels;
  wanted.regression = task_.regression;
  wanted.parts = parse_trained_parts(train, settings_.text("rank"));
  const auto pause = [this] { check_stop(); };
  content_.emplace(model, pause);
  std::unique_ptr<Host> loaded = load_host(model, wanted, device);
  Host& host = *loaded;
  result_.dropout = host.dropouts();

  const std::size_t max_length = settings_.count("max-length");
  check_max_length(max_length, host, model);
  session_.emplace(std::move(loaded), method_, settings_, seed_, device,
                   [&](const std::vector<std::string>& notes) {
                     result_.notes = notes;
                     if (!options_.message) return;
                     for (const std::string& note : host.notes()) options_.message(note);
                     for (const std::string& note : notes) options_.message(note);
                   });
  Adapter<float>& adapter = session_->adapter();
  expect_places_for_biases(adapter, read_shape(model));
  if (caches_features())
    check_cacheable(settings_, method_, host.frozen_layers(),
                    result_.dropout["hidden"] > 0 || result_.dropout["attention"] > 0);

  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(model);
  const Dataset dataset = load_dataset(task_, settings_.text("data"), settings_.count("max-train"));
  const std::vector<Example>& scored = scored_examples(task_, dataset, settings_.text("score-on"));
  content_->expect_unchanged(true);
  result_.fingerprints = {content_->fingerprint(), rows_fingerprint(dataset.train),
                          rows_fingerprint(scored)};
  result_.majority_scores = majority_scores(task_, labels_of(scored));
  train_split_ = encode_split(dataset.train, dataset.train_file, *tokenizer, max_length, pause);
  dev_split_ = encode_split(scored, dataset.scored_file, *tokenizer, max_length, pause);
  check_split(train_split_, dataset.train, dataset.train_file, host);
  check_split(dev_split_, scored, dataset.scored_file, host);

  if (const StartSamples samples = adapter.start_samples(); samples != StartSamples::none) {
    adapter.set_samples(
        sample_start(host, session_->stack(), samples, train_split_, batch_, seed_, device));
    host.attach(&adapter);
  }
  session_->begin(optimizer_settings(settings_));

  result_.plans = explain_plans(adapter, mean_batch_tokens(train_split_, batch_));
  if (options_.explain && options_.message)
    for (const std::string& line : result_.plans) options_.message(line);

  count_parameters();
  result_.adapted_layers = session_->stack().layers.size();

  steps_ = epochs_ * ((train_split_.size() + batch_ - 1) / batch_);
  schedule_.kind = parse_schedule(settings_.text("schedule"));
  schedule_.warmup = warmup_steps(settings_.number("warmup"), steps_);
  schedule_.total = static_cast<double>(steps_);
  schedule_.rate = settings_.number("lr");
  if (caches_features()) open_feature_caches();
  check_stop();
  log_.emplace(folder_.begin(), settings_);
  log_->parameters(result_.parameters, step());
}

/// As they are now: where ranks adapt, they change.
void TrainingRun::count_parameters() {
  result_.parameters = session_->parameters();
  if (const LowRankTraining* adapting = session_->low_rank()) result_.ranks = adapting->ranks();
}

void TrainingRun::train() {
  try {
    train_epochs();
  } catch (const RunDiverged&) {
    log_->finish_diverged(
        result_.epochs.empty() ? std::map<std::string, double>() : result_.epochs.front().scores,
        step());
    throw;
  }
}

void TrainingRun::train_epochs() {
  start_ = Clock::now();
  for (std::size_t epoch = 1; epoch <= epochs_; ++epoch) {
    train_epoch(epoch);
    evaluate(result_.epochs.back());
  }
  count_parameters();
  log_->finish(result_, step());
}

void TrainingRun::open_feature_caches() {
  FeatureCacheSettings cache;
  const std::string& folder = settings_.text("cache-dir");
  cache.folder = folder.empty() ? folder_.path() / ".features" : fs::path(folder);
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  cache.limit = std::min(settings_.count("cache-limit"), SIZE_MAX / mebibyte) * mebibyte;
  cache.origin =
      feature_origin(content_->fingerprint(), session_->host(), settings_.text("precision"));
  cache.message = options_.message;
  cache.pause = [this] { check_stop(); };
  train_features_.emplace(session_->host(), train_split_, "train", cache);
  cache.limit -= train_features_->bytes();
  dev_features_.emplace(session_->host(), dev_split_, settings_.text("score-on"), cache);
}

void TrainingRun::check_stop() const {
  if (!options_.stop_requested || !options_.stop_requested()) return;
  if (steps_ == 0 || step() == 0)
    throw RunStopped("stopped before it trained; the same command starts the run again");
  if (step() == steps_)
    throw RunStopped("stopped while it was scored; the same command starts the run again");
  throw RunStopped("stopped before step {} of {}; the same command starts the run again",
                   step() + 1, steps_);
}

void TrainingRun::train_epoch(std::size_t epoch) {
  const Clock::time_point start = Clock::now();
  const double seconds_before = result_.train_seconds;
  const auto batches = epoch_batches(train_split_.size(), batch_, seed_, epoch);
  double loss_sum = 0;
  for (std::size_t index = 0; index < batches.size(); ++index) {
    check_stop();
    Batch batch = pack(train_split_, batches[index]);
    if (train_features_) train_features_->add_features(batch, batches[index]);
    const double done = static_cast<double>(index + 1) / static_cast<double>(batches.size());
    const double loss = take_step(batch, static_cast<double>(epoch - 1) + done);
    loss_sum += loss * static_cast<double>(batch.sequences());
    tokens_ += batch.tokens();
    examples_ += batch.sequences();
    result_.train_seconds = seconds_before + seconds_since(start);
    result_.tokens_per_second = static_cast<double>(tokens_) / result_.train_seconds;
    result_.examples_per_second = static_cast<double>(examples_) / result_.train_seconds;
    if (options_.progress) {
      options_.progress({epoch, epochs_, step(), steps_, loss, result_.tokens_per_second});
    }
  }
  result_.epochs.push_back({epoch,
                            loss_sum / static_cast<double>(train_split_.size()),
                            {},
                            result_.train_seconds - seconds_before});
}

double TrainingRun::take_step(const Batch& batch, double epoch) {
  const double rate = schedule_.rate * schedule_.factor(step());
  const double loss = with_memory_for(
      fmt::format("step {} of {}, a batch of {} tokens", step() + 1, steps_, batch.tokens()), 0,
      [&] { return session_->form_gradients(batch); });
  if (step() == 1) first_loss_ = loss;
  check_loss("the loss", loss);
  const double norm = session_->norm();
  if (!std::isfinite(norm)) throw RunDiverged("a gradient is not finite", step());
  if (!session_->update(rate, clip_scale(norm, clip_)))
    throw RunDiverged("an update is not finite", step());

  log_sum_ += loss;
  ++log_count_;
  if (step() % steps_between_events == 0 || epoch == std::floor(epoch)) log_step(rate, norm, epoch);
  return loss;
}

void TrainingRun::check_loss(const char* name, double loss) const {
  if (!std::isfinite(loss)) throw RunDiverged(fmt::format("{} is not finite", name), step());
  if (loss > loss_explosion * std::max(1.0, first_loss_)) {
    throw RunDiverged(
        fmt::format("{} is {:.3g}, and training began at {:.3g}", name, loss, first_loss_), step());
  }
}

void TrainingRun::log_step(double rate, double norm, double epoch) {
  log_->scalar("train/loss", log_sum_ / static_cast<double>(log_count_), step());
  log_->scalar("train/grad_norm", norm, step());
  log_->scalar("train/learning_rate", rate, step());
  log_->scalar("train/epoch", epoch, step());
  if (const LowRankTraining* adapting = session_->low_rank())
    log_->scalar("train/rank", adapting->mean_rank(), step());
  log_sum_ = 0;
  log_count_ = 0;
}

void TrainingRun::evaluate(EpochResult& epoch) {
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
  const std::vector<float> logits =
      predict_split(session_->host(), dev_split_, batch_, task_.labels, progress,
                    dev_features_ ? &*dev_features_ : nullptr);
  for (float logit : logits) {
    if (!std::isfinite(logit)) throw RunDiverged("a logit is not finite", step());
  }
  const double loss = mean_loss(task_, logits, dev_split_.labels);
  check_loss("the loss on the scored examples", loss);
  epoch.scores = score(task_, logits, dev_split_.labels);
  result_.constant_predictions = constant_predictions(task_, logits);
  log_->scalar("eval/loss", loss, step());
  log_->scores(epoch.scores, step());
  const auto majority = result_.majority_scores.find(task_.metrics.front());
  log_->judgement(
      result_.constant_predictions,
      majority == result_.majority_scores.end() ? std::nullopt : std::optional(majority->second),
      step());
  if (options_.message) options_.message(progress_line(epoch));
}

/// "epoch 2 of 3: loss 0.6125, accuracy 0.7412, 5120 tokens/s, 0:48 left".
std::string TrainingRun::progress_line(const EpochResult& epoch) const {
  std::string text;
  for (const auto& [metric, value] : epoch.scores)
    text += fmt::format(", {} {:.4f}", metric, value);
  if (const LowRankTraining* adapting = session_->low_rank())
    text += fmt::format(", mean rank {:.1f}", adapting->mean_rank());
  std::string left;
  if (epoch.epoch < epochs_)
    left = fmt::format(", {} left",
                       duration_text(seconds_since(start_) / static_cast<double>(epoch.epoch) *
                                     static_cast<double>(epochs_ - epoch.epoch)));
  return fmt::format("epoch {} of {}: loss {:.4f}{}, {:.0f} tokens/s{}", epoch.epoch, epochs_,
                     epoch.loss, text, result_.tokens_per_second, left);
}

void TrainingRun::save() {
  check_stop();
  AdapterDescription description;
  description.method = method_.name;
  description.settings = session_->method_settings();
  description.rank = settings_.text("rank");
  description.targets = settings_.text("targets");
  description.layers = settings_.text("layers");
  description.train = all_trained_parts(settings_.text("train"), method_);
  description.task = task_.name;
  description.labels = task_.labels;
  description.regression = task_.regression;
  const fs::path model = settings_.text("model");
  description.model = fs::absolute(model).lexically_normal().filename().string();
  content_->expect_unchanged(false);
  description.fingerprint = content_->weights();
  description.max_length = settings_.count("max-length");
  description.batch = batch_;
  description.score_on = settings_.text("score-on");
  description.precision = settings_.text("precision");
  description.seed = seed_;
  Host& host = session_->host();
  const LowRankTraining* adapting = session_->low_rank();
  if (adapting == nullptr)
    return save_adapter(folder_.place() / "adapter", description, session_->adapter(), host);
  for (const Site& site : session_->stack().sites)
    description.sites.push_back({site.name, std::to_string(result_.ranks.at(site.name))});
  const auto stored =
      make_described_adapter<float>(description, host.catalogue(), registry_, make_cpu_device());
  adapting->store(*stored);
  save_adapter(folder_.place() / "adapter", description, *stored, host);
}

}  // namespace rankfold
