#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/device/buffer.h"
#include "core/device/device.h"

namespace rankfold {

/// How far rotary positions turn the pairs of a head (arXiv 2104.09864): pair i at position p by
/// p theta^(-2i / head_dim), scaled for sequences that are longer than those that a model was
/// trained with, as transformers' `rope_type` says.
struct RotarySettings {
  enum class Scaling { none, linear, dynamic, llama3, yarn };
  std::size_t head_dim = 0;
  double theta = 10'000;
  Scaling scaling = Scaling::none;
  double factor = 1;                             ///< how much longer
  std::size_t trained_positions = 0;             ///< of dynamic, llama3, yarn
  double low_frequency = 1, high_frequency = 4;  ///< of llama3: turns in the trained positions
  double fast_turns = 32, slow_turns = 1;        ///< of yarn, the same
  bool whole_pairs = true;  ///< of yarn: its ramp begins and ends at whole pairs
  double magnitude = 1;     ///< of yarn: of cosines and sines
};

/// The angle of each pair at position 1, in sequences of `length` tokens.
std::vector<float> rotary_frequencies(const RotarySettings& settings, std::size_t length);

/// Their cosines and sines on a device, formed once for the longest sequence so far.
class RotaryTable {
 public:
  RotaryTable(const RotarySettings& settings, std::shared_ptr<const Device> device)
      : settings_(settings), device_(std::move(device)) {}

  const RotarySettings& settings() const { return settings_; }
  /// For batches whose longest sequence has `length` tokens; valid until the next call.
  TurnTable of_length(std::size_t length);

 private:
  RotarySettings settings_;
  std::shared_ptr<const Device> device_;
  std::size_t positions_ = 0;
  std::size_t scaled_for_ = 0;  ///< the length whose frequencies these are, where they depend on it
  Buffer<float> cosines_, sines_;
};

}  // namespace rankfold
