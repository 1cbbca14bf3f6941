#include "experiments/training/training_state.h"

#include "core/base/error.h"

namespace rankfold {
namespace {

template <class Values>
const typename Values::mapped_type& find_state(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) throw Error("training state: '{}' is missing", name);
  return found->second;
}

}  // namespace

std::span<const float> TrainingState::floats_at(const std::string& name, std::size_t size) const {
  const std::vector<float>& values = find_state(floats, name);
  if (values.size() != size)
    throw Error("training state: '{}' has {} numbers, expected {}", name, values.size(), size);
  return values;
}

std::span<const double> TrainingState::doubles_at(const std::string& name) const {
  return find_state(doubles, name);
}

std::uint64_t TrainingState::count_at(const std::string& name) const {
  return find_state(counts, name);
}

}  // namespace rankfold
