#include "experiments/training/training_session.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace rankfold {
namespace {

/// What the mean loss of a batch is over: sequences, or the labels that a language model is asked,
/// or the examples among whose options it chooses.
double loss_weight(const Batch& batch) {
  if (batch.targets.empty()) return static_cast<double>(batch.sequences());
  if (!batch.options.empty()) return static_cast<double>(batch.options.size() - 1);
  std::size_t labels = 0;
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t)
      if (batch.token_before(s, t) && batch.targets[t] != Batch::left_out) ++labels;
  return static_cast<double>(std::max<std::size_t>(labels, 1));
}

}  // namespace

HostSettings host_settings(const RunSettings& settings, std::uint64_t seed) {
  HostSettings host;
  host.seed = seed;
  if (!settings.text("dropout").empty()) host.dropout = settings.number("dropout");
  if (settings.text("optimizer").starts_with("zo-")) {
    for (const char* name : {"dropout", "adapter-dropout"})
      if (!settings.text(name).empty() && settings.number(name) > 0)
        throw UsageError("--{} is {}; {} compares losses of one network, expected 0", name,
                         settings.text(name), settings.text("optimizer"));
    host.dropout = 0;
  }
  check_everything(settings);
  host.parts.everything = settings.text("targets") == everything;
  host.label_smoothing = settings.number("label-smoothing");
  host.bfloat16 = settings.text("precision") == "bf16";
  return host;
}

TrainingSession::TrainingSession(std::unique_ptr<Host> host, const Method& method,
                                 const RunSettings& settings, std::uint64_t seed,
                                 std::shared_ptr<const Device> device,
                                 const std::function<void(const std::vector<std::string>&)>& told)
    : method_(method),
      seed_(seed),
      device_(std::move(device)),
      host_(std::move(host)),
      gradients_(std::make_unique<Backpropagation>()),
      adapter_dropout_(settings.number("adapter-dropout")) {
  const SiteCatalogue& places = host_->catalogue();
  const std::string targets = chosen_targets(settings, method, places);
  const Stack stack = adapted_stack(places, targets, settings.text("layers"));
  counts_network_ = targets == everything;
  method_settings_ = resolve_settings(method, method_request(settings), stack);
  told(method.notes ? method.notes(stack, method_settings_) : std::vector<std::string>());
  adapter_ = make_adapter<float>(trained_form(method), stack, method_settings_, device_);
  // Without factors there is nothing to apply, and no gradient to carry below the head.
  if (!adapter_->parameters().empty()) host_->attach(adapter_.get());
}

void TrainingSession::begin(const OptimizerSettings& optimizer) {
  if (method_.truncation && optimizer.zero_order)
    throw UsageError(
        "--optimizer: {} takes whole updates to low rank, of which zeroth order would probe every "
        "number; expected adamw, adam or sgd",
        method_.name);
  if (method_.truncation && !optimizer.groups.factor_rates.empty())
    throw UsageError("--lr-ratio: {} trains whole updates, no factors by themselves", method_.name);
  adapter_->initialise(seed_);
  adapter_->set_samples({});
  try {
    if (adapter_dropout_ > 0) adapter_->set_dropout({adapter_dropout_, seed_, 0});
  } catch (const Error& obstacle) {
    throw UsageError("--adapter-dropout is {}; {}", adapter_dropout_, obstacle.what());
  }
  std::vector<TrainedSpan> tensors = trained_spans(*adapter_, *host_, optimizer.groups);
  if (optimizer.zero_order) {
    check_optimizer(optimizer);
    const bool forms = optimizer.kind != OptimizerKind::sgd;
    auto source = std::make_unique<ZeroOrder>(*optimizer.zero_order, tensors, device_, forms);
    zero_order_ = source.get();
    gradients_ = std::move(source);
    if (!forms) {
      rule_ = std::make_unique<ZeroOrderSgd>(*zero_order_, optimizer.weight_decay);
      return;
    }
  }
  rule_ = std::make_unique<Optimizer>(optimizer, std::move(tensors), device_);
  if (method_.truncation)
    rule_ = std::make_unique<LowRankRule>(
        std::move(rule_), LowRankTraining(method_, method_settings_, *adapter_, seed_, device_));
}

double TrainingSession::form_gradients(const Batch& batch) {
  if (adapter_dropout_ > 0) adapter_->set_dropout({adapter_dropout_, seed_, passes_});
  ++steps_;
  loss_ = gradients_->form_gradients(*host_, *adapter_, batch, seed_, passes_++);
  weight_ = loss_weight(batch);
  return loss_;
}

double TrainingSession::add_gradients(const Batch& batch) {
  if (!gradients_->can_accumulate())
    throw UsageError("--accumulate: a zeroth-order step takes one batch, expected 1");
  const double before = weight_, added = loss_weight(batch);
  weight_ += added;
  const auto scale = [&](double factor) {
    for (const TrainedSpan& tensor : rule_->tensors())
      device_->combine(tensor.gradient.size(), 0.0f, tensor.gradient.data(),
                       static_cast<float>(factor), tensor.gradient.data());
  };
  scale(before / added);
  if (adapter_dropout_ > 0) adapter_->set_dropout({adapter_dropout_, seed_, passes_});
  const double loss = gradients_->add_gradients(*host_, *adapter_, batch, seed_, passes_++);
  scale(added / weight_);
  loss_ += (loss - loss_) * added / weight_;
  return loss_;
}

double TrainingSession::norm() const {
  if (gradients_->forms_gradients()) return gradient_norm(*device_, rule_->tensors());
  double sum = 0;
  for (const double projection : projections()) sum += projection * projection;
  return std::sqrt(sum);
}

std::span<const double> TrainingSession::projections() const {
  return zero_order_ ? std::span<const double>(zero_order_->projections())
                     : std::span<const double>();
}

void TrainingSession::replay(std::span<const double> projections) {
  if (!zero_order_) throw Error("a session that backpropagates replays no zeroth-order step");
  zero_order_->replay(projections, seed_, passes_);
  ++steps_;
  ++passes_;
}

void TrainingSession::save(TrainingState& state) const {
  state.counts["session/steps"] = steps_;
  state.counts["session/passes"] = passes_;
  save_values("value/", state);
  rule_->save(state);
}

void TrainingSession::restore(const TrainingState& state) {
  restore_values("value/", state);
  rule_->restore(state);
  steps_ = state.count_at("session/steps");
  passes_ = state.count_at("session/passes");
}

void TrainingSession::save_values(const std::string& prefix, TrainingState& state) const {
  rankfold::save_values(*device_, rule_->tensors(), prefix, state);
  if (const LowRankTraining* factors = low_rank()) factors->save(prefix, state);
}

void TrainingSession::restore_values(const std::string& prefix, const TrainingState& state) {
  rankfold::restore_values(*device_, rule_->tensors(), prefix, state);
  if (LowRankTraining* factors = rule_->low_rank()) factors->restore(prefix, state);
}

ParameterCounts TrainingSession::parameters() const {
  ParameterCounts counts;
  for (const Parameter<float>& parameter : std::as_const(*adapter_).parameters()) {
    if (parameter.is_stored()) counts.total += parameter.value.size();
    if (parameter.trainable) counts.adapter += parameter.value.size();
  }
  if (const LowRankTraining* factors = low_rank()) {
    counts.adapter = counts.total = factors->parameter_count();
    counts.largest_adapter = factors->largest_parameter_count();
  }
  for (const TrainedTensor& tensor : host_->trained()) {
    const bool is_head = tensor.part == TrainedTensor::Part::head || !counts_network_;
    (is_head ? counts.head : counts.adapter) += tensor.value.size();
  }
  counts.trainable = counts.adapter + counts.head;
  counts.total += host_->total_parameters();
  return counts;
}

}  // namespace rankfold
