#include "decompositions/train_shapes.h"

#include <algorithm>
#include <ranges>

#include "decompositions/common.h"

namespace rankfold {
namespace {

/// Groups the prime factors of `size` into modes of at most 12, largest primes first, each into the
/// fullest mode that still has room.
std::vector<std::size_t> balanced_modes(std::size_t size) {
  constexpr std::size_t largest = 12;
  std::vector<std::size_t> modes;
  for (const std::size_t prime : prime_factors(size) | std::views::reverse) {
    auto best = modes.end();
    for (auto mode = modes.begin(); mode != modes.end(); ++mode)
      if (*mode * prime <= largest && (best == modes.end() || *mode > *best)) best = mode;
    if (best == modes.end())
      modes.push_back(prime);
    else
      *best *= prime;
  }
  std::ranges::sort(modes);
  return modes;
}

}  // namespace

const std::vector<std::size_t>* find_train_shape(const std::vector<TrainShape>& published,
                                                 std::size_t inputs, std::size_t outputs) {
  const auto found = std::ranges::find_if(published, [&](const TrainShape& shape) {
    return shape.inputs == inputs && shape.outputs == outputs;
  });
  return found == published.end() ? nullptr : &found->modes;
}

std::vector<std::size_t> balanced_train_shape(std::size_t inputs, std::size_t outputs) {
  std::vector<std::size_t> shape = balanced_modes(inputs);
  const std::vector<std::size_t> tail = balanced_modes(outputs);
  shape.insert(shape.end(), tail.begin(), tail.end());
  if (shape.empty()) shape = {1};
  return shape;
}

}  // namespace rankfold
