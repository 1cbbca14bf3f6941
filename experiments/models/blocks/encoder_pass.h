#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/device/dropout.h"
#include "experiments/models/blocks/attention.h"
#include "experiments/models/blocks/virtual_rows.h"

namespace rankfold {

/// What a pass knows of relative positions (RelativeEmbedding::start); empty without them.
struct RelativePass {
  std::span<const std::uint32_t> rows;  ///< see RelativeScores
  MatrixView<float> embedding;          ///< [rows, hidden], what every layer maps
  NormTrace norm;                       ///< of the embedding, where it has one
  /// dLoss/dembedding, to which every layer adds; without memory where nothing there trains.
  MatrixView<float> gradient;
};

/// What a pass is for.
struct PassKind {
  bool training = false;  ///< dropout, and everything a backward needs is kept
  std::uint64_t seed = 0, step = 0;
};

/// One batch on its way through a network.
struct EncoderPass : PassKind {
  SequenceStarts starts;  ///< of the tokens
  SequenceStarts firsts;  ///< 0 .. sequences: of one row a sequence
  RelativePass relative;
  VirtualRows virtual_tokens;  ///< embeddings before each sequence, among `starts`
  VirtualKeys virtual_keys;

  std::size_t tokens() const { return starts.back(); }
  std::size_t sequences() const { return starts.size() - 1; }
  SequenceStarts row_starts(bool first_rows_only) const {
    return first_rows_only ? firsts : starts;
  }
  /// The dropout of this pass at a place of the network; none outside training.
  Dropout dropout(double p, std::string_view place) const {
    return training && p > 0 ? Dropout(p, seed, place, step) : Dropout();
  }
};

}  // namespace rankfold
