#pragma once

#include <algorithm>
#include <filesystem>
#include <string>

#include "core/base/random.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {

/// An adapter of that method on those matrices of the model's layers, every trainable factor drawn
/// at random. Throws UsageError where the method does not fit the model.
inline AdaptedModel random_adapter(const std::filesystem::path& model, const std::string& method,
                                   const std::string& rank, const Registry& registry,
                                   const std::string& targets = "q,v") {
  AdaptedModel adapted;
  AdapterDescription& description = adapted.description;
  description.method = method;
  description.rank = registry.at(method).has_rank ? rank : "";
  description.targets =
      registry.at(method).default_targets.empty() ? targets : registry.at(method).default_targets;
  description.task = "cola";
  description.model = "model";
  description.fingerprint = model_fingerprint(model);
  const auto device = make_cpu_device();
  HostSettings settings;
  settings.seed = description.seed;
  adapted.host = load_host(model, settings, device);
  adapted.adapter =
      make_described_adapter<float>(description, adapted.host->catalogue(), registry, device);
  if (!adapted.adapter->parameters().empty()) adapted.host->attach(adapted.adapter.get());
  adapted.adapter->initialise(description.seed);
  for (Parameter<float>& parameter : adapted.adapter->parameters())
    if (parameter.trainable)
      RandomStream(7, "test/" + parameter.name).fill_normal(parameter.value.span(), 0, 0.3F);
  return adapted;
}

}  // namespace rankfold
