#include "experiments/training/training_run.h"

#include <array>
#include <utility>

#include "core/adapter/explain.h"
#include "core/base/error.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/updated_modules.h"
#include "experiments/models/shapes.h"
#include "experiments/models/trained_parts.h"
#include "experiments/tasks/task.h"
#include "experiments/training/check_trainer.h"
#include "experiments/training/class_order.h"
#include "experiments/training/classifier_data.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/prompted_data.h"
#include "experiments/training/start_samples.h"

namespace rankfold {

namespace fs = std::filesystem;

void TrainingRun::load() {
  const fs::path model = settings_.text("model");
  check_trainer(settings_, task_, task_.prompt && tells_tokens(model));
  const auto device = make_calibrated_device();
  // Refuses parts that do not go together, as count does.
  const std::string train = all_trained_parts(settings_.text("train"), method_);
  trained_part_parameters(read_shape(model), train, task_.labels,
                          tensor_train_head_rank(settings_.text("rank")));

  HostSettings wanted = host_settings(settings_, seed_);
  if (task_.prompt) wanted.output = HostOutput::language_model;
  wanted.labels = task_.labels;
  wanted.regression = task_.regression;
  wanted.output_rows = class_order(task_, model_classes(model)).outputs;
  const bool everything_trains = wanted.parts.everything;
  wanted.parts = parse_trained_parts(train, settings_.text("rank"));
  wanted.parts.everything = everything_trains;
  content_.emplace(model, [this] { check_stop(); });
  std::unique_ptr<Host> loaded = load_host(model, wanted, device);
  Host& host = *loaded;
  result_.dropout = host.dropouts();

  const std::size_t max_length = settings_.count("max-length");
  session_.emplace(std::move(loaded), method_, settings_, seed_, device,
                   [&](const std::vector<std::string>& notes) {
                     result_.notes = notes;
                     if (!options_.message) return;
                     for (const std::string& note : host.notes()) options_.message(note);
                     for (const std::string& note : notes) options_.message(note);
                   });
  check_max_length(max_length, host, model);  // some positions may be virtual tokens'
  Adapter<float>& adapter = session_->adapter();
  expect_places_for_biases(adapter, read_shape(model));
  if (caches_features())
    check_cacheable(settings_, method_, host.frozen_layers(),
                    result_.dropout["hidden"] > 0 || result_.dropout["attention"] > 0);

  load_rows(host, max_length);

  if (const StartSamples samples = adapter.start_samples(); samples != StartSamples::none) {
    adapter.set_samples(sample_start(
        host, session_->stack(), samples, data_->size(),
        [this](std::span<const std::size_t> chosen) { return data_->pack(chosen); }, batch_, seed_,
        device));
    host.attach(&adapter);
  }
  session_->begin(optimizer_settings(settings_));
  start_as_words(method_, session_->method_settings(), adapter, host, model, seed_);

  result_.plans = explain_plans(adapter, data_->mean_batch_tokens(batch_));
  if (options_.explain && options_.message)
    for (const std::string& line : result_.plans) options_.message(line);

  count_parameters();
  result_.adapted_layers =
      everything_trains ? host.catalogue().layers : session_->stack().layers.size();

  plan_steps();
  if (caches_features()) keep_features();
  check_stop();
  const std::optional<Checkpoint> checkpoint = find_checkpoint();
  log_.emplace(folder_.begin(), settings_);
  log_->parameters(result_.parameters, 0);
  if (checkpoint) go_on_from(*checkpoint);
  if (settings_.text("optimizer").starts_with("zo-"))
    zero_order_log_.emplace(
        folder_.place(), checkpoint ? logged_steps(checkpoint->state, settings_.count("zo-samples"))
                                    : std::vector<ZeroOrderStep>());
}

void TrainingRun::load_rows(const Host& host, std::size_t max_length) {
  if (task_.prompt)
    load_prompted(host, max_length);
  else
    load_labelled(host, max_length);
  result_.majority_scores = data_->majority_scores();
}

void TrainingRun::tell(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    result_.notes.push_back(note);
    if (options_.message) options_.message(note);
  }
}

template <class Rows, class Row>
void TrainingRun::note_rows(const Rows& dataset, const std::vector<Row>& scored) {
  content_->expect_unchanged(true);
  result_.fingerprints = {content_->fingerprint(), rows_fingerprint(dataset.train),
                          rows_fingerprint(scored)};
  tell(dataset.notes);
}

void TrainingRun::load_labelled(const Host& host, std::size_t max_length) {
  const fs::path model = settings_.text("model");
  const Dataset dataset = load_dataset(task_, settings_.text("data"), settings_.count("max-train"));
  const std::vector<Example>& scored = scored_examples(task_, dataset, settings_.text("score-on"));
  note_rows(dataset, scored);
  if (const std::string note = class_order(task_, model_classes(model)).note; !note.empty())
    tell({note});
  data_ = std::make_unique<ClassifierData>(task_, dataset, scored, *load_tokenizer(model),
                                           max_length, host, [this] { check_stop(); });
}

void TrainingRun::load_prompted(const Host& host, std::size_t max_length) {
  const fs::path model = settings_.text("model");
  const std::string& score_on = settings_.text("score-on");
  const PromptDataset dataset =
      load_prompt_rows(task_, task_choice(settings_), settings_.count("max-train"), seed_,
                       std::array{Split::train, scored_split(score_on)});
  const std::vector<PromptExample>& scored = scored_examples(task_, dataset, score_on);
  note_rows(dataset, scored);
  auto data =
      std::make_unique<PromptedData>(*task_.prompt, dataset.train, scored, load_tokenizer(model),
                                     model, max_length, host, [this] { check_stop(); });
  if (const std::string note = data->cut_note(max_length); !note.empty()) tell({note});
  data_ = std::move(data);
}

/// How many epochs and steps there are, and their rates.
void TrainingRun::plan_steps() {
  const std::size_t batches = (data_->size() + batch_ - 1) / batch_;
  const std::size_t of_epoch = (batches + accumulate_ - 1) / accumulate_;
  steps_ = settings_.count("steps");
  epochs_ = steps_ > 0 ? (steps_ + of_epoch - 1) / of_epoch : settings_.count("epochs");
  if (steps_ == 0) steps_ = epochs_ * of_epoch;
  schedule_.kind = parse_schedule(settings_.text("schedule"));
  schedule_.warmup = warmup_steps(settings_.number("warmup"), steps_);
  schedule_.total = static_cast<double>(steps_);
  schedule_.rate = settings_.number("lr");
  schedule_.final_rate = settings_.number("lr-end");
  schedule_.power = settings_.number("lr-power");
  if (const std::string note = warmup_note(schedule_.warmup, steps_); !note.empty()) tell({note});
}

/// As they are now: where ranks adapt, they change.
void TrainingRun::count_parameters() {
  result_.parameters = session_->parameters();
  if (const LowRankTraining* adapting = session_->low_rank()) result_.ranks = adapting->ranks();
}

void TrainingRun::keep_features() {
  FeatureCacheSettings cache;
  const std::string& folder = settings_.text("cache-dir");
  cache.folder = folder.empty() ? folder_.path() / ".features" : fs::path(folder);
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  cache.limit = std::min(settings_.count("cache-limit"), SIZE_MAX / mebibyte) * mebibyte;
  cache.origin =
      feature_origin(content_->fingerprint(), session_->host(), settings_.text("precision"));
  cache.message = options_.message;
  cache.pause = [this] { check_stop(); };
  data_->keep_features(session_->host(), std::move(cache), settings_.text("score-on"));
}

void TrainingRun::check_stop() const {
  if (!options_.stop_requested || !options_.stop_requested()) return;
  const char* const again =
      keeps_checkpoints() ? "goes on from its checkpoint" : "starts the run again";
  if (steps_ == 0 || step() == 0)
    throw RunStopped("stopped before it trained; the same command starts the run again");
  if (step() == steps_) throw RunStopped("stopped while it was scored; the same command {}", again);
  throw RunStopped("stopped before step {} of {}; the same command {}", step() + 1, steps_, again);
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
  description.classes = task_.classes;
  description.table = table_settings(settings_);
  description.regression = task_.regression;
  if (task_.prompt) description.output = HostOutput::language_model;
  const fs::path model = settings_.text("model");
  description.model = fs::absolute(model).lexically_normal().filename().string();
  content_->expect_unchanged(false);
  description.fingerprint = content_->weights();
  description.max_length = settings_.count("max-length");
  description.batch = batch_;
  description.max_train = settings_.count("max-train");
  description.trained_rows = result_.fingerprints.train;
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
