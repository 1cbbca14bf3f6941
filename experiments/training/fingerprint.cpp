#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "experiments/training/adapter_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

// Enough of every tensor to tell two trainings of one architecture apart.
constexpr std::size_t fingerprint_bytes = 64;

}  // namespace

std::string fingerprint(std::span<const TensorToWrite> tensors) {
  std::uint64_t hash = fnv1a("");
  for (const TensorToWrite& tensor : tensors) {
    const std::string line = fmt::format("{} {} [{}]\n", tensor.name, data_type_name(tensor.type),
                                         fmt::join(tensor.shape, ", "));
    hash = fnv1a(line, hash);
    hash = fnv1a({reinterpret_cast<const char*>(tensor.bytes.data()),
                  std::min(tensor.bytes.size(), fingerprint_bytes)},
                 hash);
  }
  return fmt::format("{:016x}", hash);
}

std::string model_fingerprint(const fs::path& model) {
  const WeightFolder weights(model);
  std::vector<TensorToWrite> tensors;
  for (const std::string& name : weights.names()) {
    const TensorEntry& entry = weights.at(name);
    tensors.push_back({name, entry.type, entry.shape, weights.bytes(name)});
  }
  return fingerprint(tensors);
}

std::string adapter_fingerprint(const fs::path& folder) {
  std::uint64_t hash = fnv1a("");
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    hash = fnv1a(read_text(folder / name), hash);
  return fmt::format("{:016x}", hash);
}

}  // namespace rankfold
