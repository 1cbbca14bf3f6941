#include "experiments/models/replaced_tensors.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

void ReplacedTensors::add(const std::string& name, const std::vector<std::size_t>& shape,
                          std::vector<float> values) {
  const TensorEntry entry{name, DataType::f32, shape, 0, values.size() * sizeof(float)};
  if (!tensors_.emplace(name, Tensor{entry, std::move(values)}).second)
    throw Error("{}: tensor '{}' is there twice", source_, printable(name, 200));
}

const ReplacedTensors::Tensor* ReplacedTensors::read(std::string_view full,
                                                     std::string_view prefix) {
  auto found = tensors_.find(full);
  if (found == tensors_.end() && full.starts_with(prefix))
    found = tensors_.find(full.substr(prefix.size()));
  if (found == tensors_.end()) return nullptr;
  found->second.read_as = full;
  return &found->second;
}

void ReplacedTensors::expect_all_read(const std::string& model) const {
  for (const auto& [name, tensor] : tensors_)
    if (tensor.read_as.empty())
      throw Error(
          "{}: tensor '{}' belongs to no adapted weight, to no head that trains here and to "
          "no other module of {}",
          source_, printable(name, 200), printable(model, 200));
}

}  // namespace rankfold
