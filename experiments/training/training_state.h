#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace rankfold {

/// What training goes on from, by name, in the host's memory: bit for bit what it was.
struct TrainingState {
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, std::vector<double>> doubles;
  std::map<std::string, std::uint64_t> counts;

  /// Of that name and size; throws Error naming both where there are none or others.
  std::span<const float> floats_at(const std::string& name, std::size_t size) const;
  /// Of that name, whatever their number.
  std::span<const double> doubles_at(const std::string& name) const;
  std::uint64_t count_at(const std::string& name) const;
};

}  // namespace rankfold
