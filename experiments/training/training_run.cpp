#include "experiments/training/training_run.h"

#include <algorithm>
#include <cmath>

#include "core/adapter/explain.h"
#include "core/base/progress.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/models/shapes.h"
#include "experiments/models/trained_parts.h"
#include "experiments/tasks/metrics.h"
#include "experiments/training/start_samples.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t steps_between_events = 10;
// No run comes back from a loss so far above where it began, although layer norms keep it finite.
constexpr double loss_explosion = 1e4;

/// Mean cross-entropy, or squared error for regression, of given logits.
double mean_loss(const Task& task, std::span<const float> logits, std::span<const float> labels) {
  double sum = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const std::span<const float> scores = logits.subspan(row * task.labels, task.labels);
    if (task.regression) {
      const double error = static_cast<double>(scores[0]) - labels[row];
      sum += error * error;
      continue;
    }
    const double highest = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (float score : scores) total += std::exp(score - highest);
    sum += std::log(total) + highest - scores[static_cast<std::size_t>(labels[row])];
  }
  return sum / static_cast<double>(labels.size());
}

std::vector<float> labels_of(const std::vector<Example>& rows) {
  std::vector<float> labels;
  for (const Example& row : rows) labels.push_back(row.label);
  return labels;
}

}  // namespace

void TrainingRun::load() {
  const fs::path model = settings_.text("model");
  const auto device = make_calibrated_device();
  // Refuses parts that do not go together, as count does.
  trained_part_parameters(read_shape(model), settings_.text("train"), task_.labels,
                          tensor_train_head_rank(settings_.text("rank")));
  parts_ = parse_trained_parts(settings_.text("train"), settings_.text("rank"));

  HostSettings host_settings;
  host_settings.labels = task_.labels;
  host_settings.regression = task_.regression;
  host_settings.seed = seed_;
  host_settings.parts = parts_;
  if (!settings_.text("dropout").empty()) host_settings.dropout = settings_.number("dropout");
  host_settings.bfloat16 = settings_.text("precision") == "bf16";
  const auto pause = [this] { check_stop(); };
  content_.emplace(model, pause);
  host_ = load_host(model, host_settings, device);
  result_.dropout = host_->dropouts();

  const std::size_t max_length = settings_.count("max-length");
  if (max_length > host_->max_tokens()) {
    throw UsageError("--max-length is {}; the model in {} has {} positions", max_length,
                     model.string(), host_->max_tokens());
  }
  const Stack stack =
      select_stack(host_->catalogue(), settings_.text("targets"), settings_.text("layers"));
  method_settings_ = resolve_settings(method_, method_request(settings_), stack);
  if (method_.notes) result_.notes = method_.notes(stack, method_settings_);
  if (options_.message) {
    for (const std::string& note : host_->notes()) options_.message(note);
    for (const std::string& note : result_.notes) options_.message(note);
  }
  adapter_ = make_adapter<float>(trained_form(method_), stack, method_settings_, device);
  // Without factors there is nothing to apply, and no gradient to carry below the head.
  if (!adapter_->parameters().empty()) host_->attach(adapter_.get());
  if (caches_features())
    check_cacheable(settings_, host_->frozen_layers(),
                    result_.dropout["hidden"] > 0 || result_.dropout["attention"] > 0);

  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(model);
  const Dataset dataset = load_dataset(task_, settings_.text("data"), settings_.count("max-train"));
  const std::vector<Example>& scored = scored_examples(task_, dataset, settings_.text("score-on"));
  content_->expect_unchanged(true);
  result_.fingerprints = {content_->fingerprint(), rows_fingerprint(dataset.train),
                          rows_fingerprint(scored)};
  result_.majority_scores = majority_scores(task_, labels_of(scored));
  train_split_ = encode_split(dataset.train, *tokenizer, max_length, pause);
  dev_split_ = encode_split(scored, *tokenizer, max_length, pause);

  if (const StartSamples wanted = adapter_->start_samples(); wanted != StartSamples::none) {
    adapter_->set_samples(sample_start(*host_, stack, wanted, train_split_, batch_, seed_, device));
    host_->attach(adapter_.get());
  }
  adapter_->initialise(seed_);  // some starts read the frozen weights
  adapter_->set_samples({});
  if (method_.truncation) low_rank_.emplace(method_, method_settings_, *adapter_, seed_, device);

  result_.plans = explain_plans(*adapter_, mean_batch_tokens(train_split_, batch_));
  if (options_.explain && options_.message)
    for (const std::string& line : result_.plans) options_.message(line);

  std::vector<TrainedSpan> tensors;
  for (Parameter<float>& parameter : adapter_->parameters())
    if (parameter.trainable)
      tensors.push_back({parameter.name, parameter.value.span(), parameter.gradient.span()});
  for (const TrainedTensor& tensor : host_->trained())
    tensors.push_back({tensor.name, tensor.value, tensor.gradient});
  count_parameters();
  result_.adapted_layers = stack.layers.size();

  OptimizerSettings optimizer;
  optimizer.kind = settings_.text("optimizer") == "sgd" ? OptimizerKind::sgd : OptimizerKind::adamw;
  optimizer.beta1 = settings_.number("beta1");
  optimizer.beta2 = settings_.number("beta2");
  optimizer.epsilon = settings_.number("epsilon");
  optimizer.weight_decay = settings_.number("weight-decay");
  optimizer_.emplace(optimizer, std::move(tensors));

  steps_ = settings_.count("epochs") * ((train_split_.size() + batch_ - 1) / batch_);
  schedule_.kind = parse_schedule(settings_.text("schedule"));
  schedule_.warmup = warmup_steps(settings_.number("warmup"), steps_);
  schedule_.total = static_cast<double>(steps_);
  schedule_.rate = settings_.number("lr");
  if (caches_features()) open_feature_caches();
  check_stop();
  log_.emplace(folder_.begin(), settings_);
  log_->parameters(result_.parameters, step_);
}

/// As they are now: where ranks adapt, they change.
void TrainingRun::count_parameters() {
  ParameterCounts& counts = result_.parameters;
  counts = {};
  for (const Parameter<float>& parameter : adapter_->parameters()) {
    if (parameter.is_stored()) counts.total += parameter.value.size();
    if (parameter.trainable) counts.adapter += parameter.value.size();
  }
  if (low_rank_) {
    counts.adapter = counts.total = low_rank_->parameter_count();
    counts.largest_adapter = low_rank_->largest_parameter_count();
    result_.ranks = low_rank_->ranks();
  }
  for (const TrainedTensor& tensor : host_->trained()) counts.head += tensor.value.size();
  counts.trainable = counts.adapter + counts.head;
  counts.total += host_->total_parameters();
}

void TrainingRun::train() {
  try {
    train_epochs();
  } catch (const RunDiverged&) {
    log_->finish_diverged(
        result_.epochs.empty() ? std::map<std::string, double>() : result_.epochs.front().scores,
        step_);
    throw;
  }
}

void TrainingRun::train_epochs() {
  start_ = Clock::now();
  for (std::size_t epoch = 1; epoch <= settings_.count("epochs"); ++epoch) {
    train_epoch(epoch);
    evaluate(result_.epochs.back());
  }
  count_parameters();
  log_->finish(result_, step_);
}

void TrainingRun::open_feature_caches() {
  FeatureCacheSettings cache;
  const std::string& folder = settings_.text("cache-dir");
  cache.folder = folder.empty() ? folder_.path() / ".features" : fs::path(folder);
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  cache.limit = std::min(settings_.count("cache-limit"), SIZE_MAX / mebibyte) * mebibyte;
  cache.origin = feature_origin(content_->fingerprint(), *host_, settings_.text("precision"));
  cache.message = options_.message;
  cache.pause = [this] { check_stop(); };
  train_features_.emplace(*host_, train_split_, "train", cache);
  cache.limit -= train_features_->bytes();
  dev_features_.emplace(*host_, dev_split_, settings_.text("score-on"), cache);
}

void TrainingRun::check_stop() const {
  if (!options_.stop_requested || !options_.stop_requested()) return;
  if (steps_ == 0 || step_ == 0)
    throw RunStopped("stopped before it trained; the same command starts the run again");
  if (step_ == steps_)
    throw RunStopped("stopped while it was scored; the same command starts the run again");
  throw RunStopped("stopped before step {} of {}; the same command starts the run again", step_ + 1,
                   steps_);
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
      options_.progress(
          {epoch, settings_.count("epochs"), step_, steps_, loss, result_.tokens_per_second});
    }
  }
  result_.epochs.push_back({epoch,
                            loss_sum / static_cast<double>(train_split_.size()),
                            {},
                            result_.train_seconds - seconds_before});
}

double TrainingRun::take_step(const Batch& batch, double epoch) {
  const double rate = schedule_.rate * schedule_.factor(step_);
  host_->zero_gradients();
  adapter_->zero_gradients();
  const double loss = host_->train_pass(batch, seed_, step_);
  ++step_;
  if (step_ == 1) first_loss_ = loss;
  check_loss("the loss", loss);
  const double norm = gradient_norm(optimizer_->tensors());
  if (!std::isfinite(norm)) throw RunDiverged("a gradient is not finite", step_);
  optimizer_->step(rate, clip_scale(norm, settings_.number("clip")));
  if (low_rank_ && !low_rank_->step()) throw RunDiverged("an update is not finite", step_);

  log_sum_ += loss;
  ++log_count_;
  if (step_ % steps_between_events == 0 || epoch == std::floor(epoch)) log_step(rate, norm, epoch);
  return loss;
}

void TrainingRun::check_loss(const char* name, double loss) const {
  if (!std::isfinite(loss)) throw RunDiverged(fmt::format("{} is not finite", name), step_);
  if (loss > loss_explosion * std::max(1.0, first_loss_)) {
    throw RunDiverged(
        fmt::format("{} is {:.3g}, and training began at {:.3g}", name, loss, first_loss_), step_);
  }
}

void TrainingRun::log_step(double rate, double norm, double epoch) {
  log_->scalar("train/loss", log_sum_ / static_cast<double>(log_count_), step_);
  log_->scalar("train/grad_norm", norm, step_);
  log_->scalar("train/learning_rate", rate, step_);
  log_->scalar("train/epoch", epoch, step_);
  if (low_rank_) log_->scalar("train/rank", low_rank_->mean_rank(), step_);
  log_sum_ = 0;
  log_count_ = 0;
}

void TrainingRun::evaluate(EpochResult& epoch) {
  for (const TrainedSpan& tensor : optimizer_->tensors()) {
    if (!std::ranges::all_of(tensor.value, [](float value) { return std::isfinite(value); })) {
      throw RunDiverged(fmt::format("{} is not finite", tensor.name), step_);
    }
  }
  const ScoringProgress progress = [this](std::size_t done, std::size_t examples) {
    check_stop();
    if (options_.scoring) options_.scoring(done, examples);
  };
  const std::vector<float> logits =
      predict_split(*host_, dev_split_, batch_, task_.labels, progress,
                    dev_features_ ? &*dev_features_ : nullptr);
  for (float logit : logits) {
    if (!std::isfinite(logit)) throw RunDiverged("a logit is not finite", step_);
  }
  const double loss = mean_loss(task_, logits, dev_split_.labels);
  check_loss("the loss on the scored examples", loss);
  epoch.scores = score(task_, logits, dev_split_.labels);
  result_.constant_predictions = constant_predictions(task_, logits);
  log_->scalar("eval/loss", loss, step_);
  log_->scores(epoch.scores, step_);
  const auto majority = result_.majority_scores.find(task_.metrics.front());
  log_->judgement(
      result_.constant_predictions,
      majority == result_.majority_scores.end() ? std::nullopt : std::optional(majority->second),
      step_);
  if (options_.message) options_.message(progress_line(epoch));
}

/// "epoch 2 of 3: loss 0.6125, accuracy 0.7412, 5120 tokens/s, 0:48 left".
std::string TrainingRun::progress_line(const EpochResult& epoch) const {
  std::string text;
  for (const auto& [metric, value] : epoch.scores)
    text += fmt::format(", {} {:.4f}", metric, value);
  if (low_rank_) text += fmt::format(", mean rank {:.1f}", low_rank_->mean_rank());
  const std::size_t epochs = settings_.count("epochs");
  std::string left;
  if (epoch.epoch < epochs)
    left = fmt::format(", {} left",
                       duration_text(seconds_since(start_) / static_cast<double>(epoch.epoch) *
                                     static_cast<double>(epochs - epoch.epoch)));
  return fmt::format("epoch {} of {}: loss {:.4f}{}, {:.0f} tokens/s{}", epoch.epoch, epochs,
                     epoch.loss, text, result_.tokens_per_second, left);
}

void TrainingRun::save() const {
  check_stop();
  AdapterDescription description;
  description.method = method_.name;
  description.settings = method_settings_;
  description.rank = settings_.text("rank");
  description.targets = settings_.text("targets");
  description.layers = settings_.text("layers");
  description.train = settings_.text("train");
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
  if (!low_rank_) return save_adapter(folder_.place() / "adapter", description, *adapter_, *host_);
  for (const Site& site : adapter_->stack().sites)
    description.sites.push_back({site.name, std::to_string(result_.ranks.at(site.name))});
  const auto stored =
      make_described_adapter<float>(description, host_->catalogue(), registry_, make_cpu_device());
  low_rank_->store(*stored);
  save_adapter(folder_.place() / "adapter", description, *stored, *host_);
}

}  // namespace rankfold
