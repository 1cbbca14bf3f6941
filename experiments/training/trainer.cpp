#include "experiments/training/trainer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "core/backend.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/explain.h"
#include "core/files.h"
#include "core/machine_rates.h"
#include "core/version.h"
#include "experiments/models/shapes.h"
#include "experiments/tasks/metrics.h"
#include "experiments/tasks/task.h"
#include "experiments/training/adapter_folder.h"
#include "experiments/training/data.h"
#include "experiments/training/feature_cache.h"
#include "experiments/training/low_rank_training.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/run_log.h"
#include "experiments/training/schedule.h"
#include "experiments/training/start_samples.h"
#include "experiments/training/trained_parts.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t steps_between_events = 10;
// No run comes back from a loss so far above where it began, although layer norms keep it finite.
constexpr double loss_explosion = 1e4;

/// The user stopped the run: nothing is written about it.
class Stopped : public Error {
 public:
  using Error::Error;
};

/// Training fell apart: there is no score to report.
class Diverged : public Error {
 public:
  Diverged(const std::string& what, std::size_t failed_step)
      : Error("diverged at step {}: {}", failed_step, what), step(failed_step) {}
  std::size_t step;
};

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

/// One run: what it works with, and what it has found out so far.
class Run {
 public:
  Run(const Task& task, const Registry& registry, const fs::path& out,
      const FinetuneOptions& options, RunResult& result)
      : task_(task),
        registry_(registry),
        method_(registry.at(result.settings.text("method"))),
        out_(out),
        options_(options),
        result_(result),
        settings_(result.settings),
        seed_(settings_.count("seed")),
        batch_(settings_.count("batch")) {}

  void load();
  void train();
  void save() const;

 private:
  void train_epoch(std::size_t epoch);
  double take_step(const Batch& batch, double epoch);
  void check_loss(const char* name, double loss) const;
  void log_step(double rate, double norm, double epoch);
  void evaluate(EpochResult& epoch);
  bool caches_features() const { return settings_.text("cache-features") == "true"; }
  void open_feature_caches();
  void count_parameters();
  void train_epochs();
  void check_stop() const;

  const Task& task_;
  const Registry& registry_;
  const Method& method_;
  const fs::path& out_;
  const FinetuneOptions& options_;
  RunResult& result_;
  const RunSettings& settings_;
  const std::uint64_t seed_;
  const std::size_t batch_;

  EncodedSplit train_split_, dev_split_;
  MethodSettings method_settings_;
  TrainedParts parts_;
  // The host refers to the adapter, so it goes first.
  std::unique_ptr<Adapter<float>> adapter_;
  std::unique_ptr<Host> host_;
  std::optional<LowRankTraining> low_rank_;  // where the method has a truncation
  std::optional<FeatureCache> train_features_, dev_features_;
  std::optional<RunLog> log_;
  std::optional<Optimizer> optimizer_;
  Schedule schedule_;
  std::size_t step_ = 0, steps_ = 0;  // steps taken, and of the whole run
  std::size_t tokens_ = 0, examples_ = 0;
  double first_loss_ = 0;
  double log_sum_ = 0;  // of losses since the last event
  std::size_t log_count_ = 0;
};

void Run::load() {
  const fs::path model = settings_.text("model");
  const auto backend = make_calibrated_backend();
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
  host_ = load_host(model, host_settings, backend);
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
  adapter_ = make_adapter<float>(trained_form(method_), stack, method_settings_, backend);
  // Without factors there is nothing to apply, and no gradient to carry below the head.
  if (!adapter_->parameters().empty()) host_->attach(adapter_.get());
  if (caches_features())
    check_cacheable(settings_, host_->frozen_layers(),
                    result_.dropout["hidden"] > 0 || result_.dropout["attention"] > 0);

  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(model);
  const Dataset dataset = load_dataset(task_, settings_.text("data"), settings_.count("max-train"));
  train_split_ = encode_split(dataset.train, *tokenizer, max_length);
  dev_split_ = encode_split(scored_examples(task_, dataset, settings_.text("score-on")), *tokenizer,
                            max_length);

  if (const StartSamples wanted = adapter_->start_samples(); wanted != StartSamples::none) {
    adapter_->set_samples(
        sample_start(*host_, stack, wanted, train_split_, batch_, seed_, backend));
    host_->attach(adapter_.get());
  }
  adapter_->initialise(seed_);  // some starts read the frozen weights
  adapter_->set_samples({});
  if (method_.truncation) low_rank_.emplace(method_, method_settings_, *adapter_, seed_, backend);

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
  log_.emplace(out_, settings_);
  log_->parameters(result_.parameters, step_);
}

/// As they are now: where ranks adapt, they change.
void Run::count_parameters() {
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

void Run::train() {
  try {
    train_epochs();
  } catch (const Diverged&) {
    log_->finish_diverged(
        result_.epochs.empty() ? std::map<std::string, double>() : result_.epochs.front().scores,
        step_);
    throw;
  }
}

void Run::train_epochs() {
  for (std::size_t epoch = 1; epoch <= settings_.count("epochs"); ++epoch) {
    train_epoch(epoch);
    evaluate(result_.epochs.back());
  }
  count_parameters();
  log_->finish(result_, step_);
}

void Run::open_feature_caches() {
  FeatureCacheSettings cache;
  const std::string& folder = settings_.text("cache-dir");
  cache.folder = folder.empty() ? out_ / ".features" : fs::path(folder);
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  cache.limit = std::min(settings_.count("cache-limit"), SIZE_MAX / mebibyte) * mebibyte;
  cache.origin = feature_origin(settings_.text("model"), *host_, settings_.text("precision"));
  cache.message = options_.message;
  cache.pause = [this] { check_stop(); };
  train_features_.emplace(*host_, train_split_, "train", cache);
  cache.limit -= train_features_->bytes();
  dev_features_.emplace(*host_, dev_split_, settings_.text("score-on"), cache);
}

void Run::check_stop() const {
  if (options_.stop_requested && options_.stop_requested()) {
    throw Stopped("stopped before step {} of {}; the same command starts the run again", step_ + 1,
                  steps_);
  }
}

void Run::train_epoch(std::size_t epoch) {
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

double Run::take_step(const Batch& batch, double epoch) {
  const double rate = schedule_.rate * schedule_.factor(step_);
  host_->zero_gradients();
  adapter_->zero_gradients();
  const double loss = host_->train_pass(batch, seed_, step_);
  ++step_;
  if (step_ == 1) first_loss_ = loss;
  check_loss("the loss", loss);
  const double norm = gradient_norm(optimizer_->tensors());
  if (!std::isfinite(norm)) throw Diverged("a gradient is not finite", step_);
  optimizer_->step(rate, clip_scale(norm, settings_.number("clip")));
  if (low_rank_ && !low_rank_->step()) throw Diverged("an update is not finite", step_);

  log_sum_ += loss;
  ++log_count_;
  if (step_ % steps_between_events == 0 || epoch == std::floor(epoch)) log_step(rate, norm, epoch);
  return loss;
}

void Run::check_loss(const char* name, double loss) const {
  if (!std::isfinite(loss)) throw Diverged(fmt::format("{} is not finite", name), step_);
  if (loss > loss_explosion * std::max(1.0, first_loss_)) {
    throw Diverged(
        fmt::format("{} is {:.3g}, and training began at {:.3g}", name, loss, first_loss_), step_);
  }
}

void Run::log_step(double rate, double norm, double epoch) {
  log_->scalar("train/loss", log_sum_ / static_cast<double>(log_count_), step_);
  log_->scalar("train/grad_norm", norm, step_);
  log_->scalar("train/learning_rate", rate, step_);
  log_->scalar("train/epoch", epoch, step_);
  if (low_rank_) log_->scalar("train/rank", low_rank_->mean_rank(), step_);
  log_sum_ = 0;
  log_count_ = 0;
}

void Run::evaluate(EpochResult& epoch) {
  for (const TrainedSpan& tensor : optimizer_->tensors()) {
    if (!std::ranges::all_of(tensor.value, [](float value) { return std::isfinite(value); })) {
      throw Diverged(fmt::format("{} is not finite", tensor.name), step_);
    }
  }
  const std::vector<float> logits =
      predict_split(*host_, dev_split_, batch_, task_.labels, options_.scoring,
                    dev_features_ ? &*dev_features_ : nullptr);
  for (float logit : logits) {
    if (!std::isfinite(logit)) throw Diverged("a logit is not finite", step_);
  }
  const double loss = mean_loss(task_, logits, dev_split_.labels);
  check_loss("the loss on the scored examples", loss);
  epoch.scores = score(task_, logits, dev_split_.labels);
  log_->scalar("eval/loss", loss, step_);
  log_->scores(epoch.scores, step_);
  if (options_.message) {
    std::string scores;
    for (const auto& [metric, value] : epoch.scores)
      scores += fmt::format(", {} {:.4f}", metric, value);
    if (low_rank_) scores += fmt::format(", mean rank {:.1f}", low_rank_->mean_rank());
    options_.message(fmt::format("epoch {} of {}: loss {:.4f}{}, {:.0f} tokens/s", epoch.epoch,
                                 settings_.count("epochs"), epoch.loss, scores,
                                 result_.tokens_per_second));
  }
}

void Run::save() const {
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
  description.fingerprint = model_fingerprint(model);
  description.max_length = settings_.count("max-length");
  description.batch = batch_;
  description.score_on = settings_.text("score-on");
  description.precision = settings_.text("precision");
  description.seed = seed_;
  if (!low_rank_) return save_adapter(out_ / "adapter", description, *adapter_, *host_);
  for (const Site& site : adapter_->stack().sites)
    description.sites.push_back({site.name, std::to_string(result_.ranks.at(site.name))});
  const auto stored = make_described_adapter<float>(description, host_->catalogue(), registry_,
                                                    make_openblas_backend());
  low_rank_->store(*stored);
  save_adapter(out_ / "adapter", description, *stored, *host_);
}

void write_result(const fs::path& out, RunResult& result) {
  result.peak_memory_mib = peak_memory_mib();
  write_atomically(out / "run.json", to_json_text(result));
}

}  // namespace

RunResult finetune(const RunSettings& settings, const fs::path& out, const Registry& registry,
                   const FinetuneOptions& options) {
  check_settings(settings);
  const Method& method = registry.at(settings.text("method"));
  const Task& task = find_task(settings.text("task"));
  RunResult result;
  result.settings = canonical(settings, &method);
  const bool threads_are_free = settings.text("threads").empty();
  if (threads_are_free) result.settings.values["threads"] = std::to_string(cpu_count());

  if (auto previous = find_run(out); previous && previous->status == "done" && !options.force) {
    RunSettings expected = result.settings;
    if (threads_are_free) expected.values["threads"] = previous->settings.text("threads");
    const std::string difference =
        first_difference(identity(previous->settings, registry), identity(expected, registry));
    if (!difference.empty()) {
      throw UsageError("{} holds a finished run of other settings ({}); choose another --out",
                       (out / "run.json").string(), difference);
    }
    if (options.message) options.message(fmt::format("{} is finished already", out.string()));
    previous->skipped = true;
    return *previous;
  }

  check_model_folder(settings.text("model"));
  check_data_folder(settings.text("data"));
  check_precision(settings.text("precision"));
  std::error_code ignored;
  const bool existed = fs::exists(out, ignored);
  prepare_run_folder(out);
  set_threads(static_cast<int>(result.settings.count("threads")));
  try {
    Run run(task, registry, out, options, result);
    run.load();
    run.train();
    run.save();
    result.status = "done";
    result.scores = result.epochs.back().scores;
  } catch (const UsageError&) {
    // Removes the folder only where it is empty.
    if (!existed) fs::remove(out, ignored);
    throw;
  } catch (const Stopped&) {
    throw;
  } catch (const Diverged& failure) {
    result.status = "diverged";
    result.error = failure.what();
    result.failed_step = failure.step;
    if (options.message) options.message(result.error);
  } catch (const std::exception& failure) {
    result.status = "failed";
    result.error = failure.what();
    try {
      write_result(out, result);
    } catch (const Error&) {
      // The first failure is the one to report.
    }
    throw;
  }
  write_result(out, result);
  return result;
}

}  // namespace rankfold
