#pragma once

#include <cstddef>
#include <vector>

namespace rankfold {

/// The modes that a paper gives a tensor train over a matrix of these sides.
struct TrainShape {
  std::size_t inputs, outputs;
  std::vector<std::size_t> modes;
};

/// The modes for such a matrix; null where the paper has no such sizes.
const std::vector<std::size_t>* find_train_shape(const std::vector<TrainShape>& published,
                                                 std::size_t inputs, std::size_t outputs);

/// A balanced factorisation: the modes of `inputs`, then those of `outputs`, each side split into
/// at most 12 where its primes allow.
std::vector<std::size_t> balanced_train_shape(std::size_t inputs, std::size_t outputs);

}  // namespace rankfold
