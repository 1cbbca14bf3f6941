#include "experiments/training/training_session.h"

#include <utility>

namespace rankfold {

HostSettings host_settings(const RunSettings& settings, std::uint64_t seed) {
  HostSettings host;
  host.seed = seed;
  if (!settings.text("dropout").empty()) host.dropout = settings.number("dropout");
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
      gradients_(std::make_unique<Backpropagation>()) {
  const SiteCatalogue& places = host_->catalogue();
  const Stack stack =
      select_stack(places, chosen_targets(settings, method, places), settings.text("layers"));
  method_settings_ = resolve_settings(method, method_request(settings), stack);
  told(method.notes ? method.notes(stack, method_settings_) : std::vector<std::string>());
  adapter_ = make_adapter<float>(trained_form(method), stack, method_settings_, device_);
  // Without factors there is nothing to apply, and no gradient to carry below the head.
  if (!adapter_->parameters().empty()) host_->attach(adapter_.get());
}

void TrainingSession::begin(const OptimizerSettings& optimizer) {
  adapter_->initialise(seed_);
  adapter_->set_samples({});
  std::vector<TrainedSpan> tensors;
  for (Parameter<float>& parameter : adapter_->parameters())
    if (parameter.trainable)
      tensors.push_back({parameter.name,
                         {parameter.value.data(), parameter.value.size()},
                         {parameter.gradient.data(), parameter.gradient.size()}});
  for (const TrainedTensor& tensor : host_->trained())
    tensors.push_back({tensor.name, tensor.value, tensor.gradient});
  rule_ = std::make_unique<Optimizer>(optimizer, std::move(tensors), device_);
  if (method_.truncation)
    rule_ = std::make_unique<LowRankRule>(
        std::move(rule_), LowRankTraining(method_, method_settings_, *adapter_, seed_, device_));
}

double TrainingSession::form_gradients(const Batch& batch) {
  return gradients_->form_gradients(*host_, *adapter_, batch, seed_, steps_++);
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
  for (const TrainedTensor& tensor : host_->trained()) counts.head += tensor.value.size();
  counts.trainable = counts.adapter + counts.head;
  counts.total += host_->total_parameters();
  return counts;
}

}  // namespace rankfold
