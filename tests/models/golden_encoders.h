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

/// The tiny model of a family among the golden data.
inline std::filesystem::path golden_model(const std::string& family) {
  return std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "models" / family;
}

/// Every family that can be loaded and has golden data as a classifier of sequences.
inline std::vector<std::string> golden_encoders() {
  std::vector<std::string> names;
  for (const Family* family : families())
    if (family->load && family->dense_before_output &&
        std::filesystem::exists(golden_model(std::string(family->name))))
      names.emplace_back(family->name);
  return names;
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

/// Those of families that are language models too.
inline std::vector<std::string> golden_decoders() {
  std::vector<std::string> names;
  for (const std::string& name : golden_folders()) {
    const Family* family =
        find_family(ConfigFile(golden_model(name) / "config.json").text("model_type"));
    if (family && family->tells_tokens) names.push_back(name);
  }
  return names;
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

/// Every target of a host, "q,k,v,o,up,down".
inline std::string all_targets(const Host& host) {
  std::string targets;
  for (const MatrixType matrix : Stack(host.catalogue().sites).matrices)
    targets += (targets.empty() ? "" : ",") + std::string(to_string(matrix));
  return targets;
}

/// q and v, or what holds them.
inline std::string projection_targets(const Host& host) {
  return all_targets(host).find("in_proj") != std::string::npos ? "in_proj" : "q,v";
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
