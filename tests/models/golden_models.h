#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "core/base/random.h"
#include "decompositions/registry.h"
#include "experiments/models/config_file.h"
#include "experiments/models/families/family.h"
#include "experiments/models/host.h"
#include "source_paths.h"

namespace rankfold {

/// A folder of a tiny model among the golden data.
inline std::filesystem::path golden_model(const std::string& name) {
  return std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "models" / name;
}

/// Every folder of golden data with reference inputs, of any family.
inline std::vector<std::string> golden_folders() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_model("")))
    if (std::filesystem::exists(entry.path() / "io.safetensors"))
      names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

/// Those of families that are language models too, or only classifiers.
inline std::vector<std::string> golden_folders(bool tells_tokens) {
  std::vector<std::string> names;
  for (const std::string& name : golden_folders()) {
    const Family* family =
        find_family(ConfigFile(golden_model(name) / "config.json").text("model_type"));
    if (family && family->tells_tokens == tells_tokens) names.push_back(name);
  }
  return names;
}
inline std::vector<std::string> golden_encoders() {
  return golden_folders(false);
}
inline std::vector<std::string> golden_decoders() {
  return golden_folders(true);
}

/// A name that a test may have.
inline std::string test_name(std::string family) {
  std::ranges::replace(family, '-', '_');
  return family;
}

/// Three short sequences of ids that every golden vocabulary has, with labels 0, 1, 0; one of them
/// holds what stands for padding in some families.
inline Batch short_batch() {
  Batch batch;
  batch.ids = {2, 17, 45, 99, 3, 2, 1, 8, 3, 2, 33, 60, 71, 12, 5, 90, 41, 3};
  batch.type_ids.assign(batch.ids.size(), 0);
  batch.starts = {0, 5, 9, batch.ids.size()};
  batch.labels = {0, 1, 0};
  return batch;
}

/// Whether q, k and v are parts of one weight.
inline bool has_parts(const Host& host) {
  return !std::ranges::all_of(host.catalogue().sites,
                              [](const Site& site) { return site.part_of.empty(); });
}

/// What holds q and v, and where that is another weight, they themselves.
inline std::vector<std::string> projection_targets(const Host& host) {
  if (has_parts(host)) return {"in_proj", "q,v"};
  return {"q,v"};
}

/// An adapter on `stack` with numbers of its own in all factors.
inline std::unique_ptr<Adapter<float>> drawn_adapter(const Stack& stack, const std::string& method,
                                                     const std::shared_ptr<const Device>& device) {
  const Registry registry = builtin_registry();
  const Method& found = registry.at(method);
  MethodRequest request;
  if (found.has_rank) request.rank = "2";
  auto adapter = make_adapter<float>(found, stack, resolve_settings(found, request, stack), device);
  for (Parameter<float>& parameter : adapter->parameters())
    RandomStream(1, parameter.name).fill_normal(HostWrite<float>(parameter.value).span(), 0.0, 0.2);
  return adapter;
}

}  // namespace rankfold
