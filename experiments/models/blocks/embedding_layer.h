#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/device/arena.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/host.h"

namespace rankfold {

/// Where the gradients of embedding tables go; null where a table is frozen or not there. The row
/// of words that is `padding` gets none (torch.nn.Embedding's padding_idx); -1: all do.
struct TableGradients {
  float *words = nullptr, *positions = nullptr, *types = nullptr;
  std::int32_t padding = -1;
};

/// The rows of the tables that the tokens of a pass read.
struct TableRows {
  std::vector<std::size_t> words, positions, types;
};

/// gradient[rows[i]] += d[i], of a table [.., d.columns], for all i whose row is not `left_out` (-1:
/// none is); nothing without a gradient.
void add_to_table(MatrixView<const float> d, std::span<const std::size_t> rows,
                  std::int32_t left_out, float* gradient, const Device& device);

/// x = dropout(LN(word + type + position)), row by row, and where the tables are narrower than the
/// hidden states (ALBERT) x = map(dropout(LN(...))). Sums are not kept: they are cheap to form
/// again. All weights are frozen; the norm may be replaced by a trained one, the map have an
/// adapter, or all of it may train.
class EmbeddingLayer {
 public:
  EmbeddingLayer() = default;
  /// Of tables of `width` columns; `map`, [hidden, width], where they are not those of the hidden
  /// states. `place` addresses the dropout masks.
  EmbeddingLayer(const EmbeddingTables& tables, LayerNorm norm, std::size_t width, double dropout,
                 std::string place, std::optional<HostLinear> map = {})
      : tables_(tables),
        norm_(std::move(norm)),
        width_(width),
        dropout_(dropout),
        place_(std::move(place)),
        map_(std::move(map)) {}

  LayerNorm& norm() { return norm_; }
  HostLinear* map() { return map_ ? &*map_ : nullptr; }
  const HostLinear* map() const { return map_ ? &*map_ : nullptr; }
  const EmbeddingTables& tables() const { return tables_; }
  /// Where the gradients of the tables go, which then train; the norm has to train with them.
  void train(const TableGradients& gradients) { gradients_ = gradients; }

  /// x [tokens, hidden] is overwritten; the same again for the same pass. `trace`, where given,
  /// keeps what the backward of an adapted map needs.
  void forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
               Trace<float>* trace, Arena& arena) const;

  /// From dLoss/dx, which is used up: adds to the gradients of a trained norm, of the tables, and of
  /// the map or its adapter. `rows` are the caller's, to be kept over passes.
  void backward(const Batch& batch, const EncoderPass& pass, const Trace<float>& trace,
                MatrixView<float> dx, TableRows& rows, Arena& arena) const;

 private:
  void find_rows(const Batch& batch, TableRows& rows) const;
  void form_sums(const Batch& batch, const TableRows& rows, MatrixView<float> sums,
                 MatrixView<float> scratch, const Device& device) const;
  /// `normalised` receives the normalised sums where it has memory.
  void embed(const Batch& batch, const EncoderPass& pass, MatrixView<float> normalised,
             MatrixView<float> x, const Device& device) const;
  Dropout dropout(const EncoderPass& pass) const { return pass.dropout(dropout_, place_); }

  EmbeddingTables tables_;
  TableGradients gradients_;
  LayerNorm norm_;
  std::size_t width_ = 0;
  double dropout_ = 0;
  std::string place_;
  std::optional<HostLinear> map_;
};

}  // namespace rankfold
