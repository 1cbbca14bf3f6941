#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "core/device/buffer.h"
#include "core/network/stack.h"
#include "experiments/models/blocks/virtual_rows.h"
#include "experiments/models/host.h"

namespace rankfold {

/// The virtual tokens of a host: rows that an adapter's virtual sites make of unit vectors, and
/// batches and keys with them. An adapter has embeddings of them, or keys and values.
class VirtualTokens {
 public:
  explicit VirtualTokens(std::shared_ptr<const Device> device) : device_(std::move(device)) {}

  /// Those of the adapter; none where it is null or has no virtual sites. Throws Error naming model
  /// and site: one that the catalogue does not have, of another width, or not as many tokens as
  /// leave room for another among `positions`.
  void attach(Adapter<float>* adapter, const SiteCatalogue& catalogue, std::size_t positions);

  std::size_t embedded() const { return embeddings_.count; }  ///< tokens before every sequence
  std::size_t count() const { return count_; }                ///< positions that they take
  bool has_keys(std::size_t layer) const {
    return layer < layers_.size() && layers_[layer].count > 0;
  }

  /// Computes all rows, in the arena, for a backward where `training`.
  void form(bool training, Arena& arena);
  /// What it computed, until the arena is given back.
  const VirtualRows& embeddings() const { return embeddings_.rows; }
  const VirtualRows& keys(std::size_t layer) const;
  /// From the gradients of all rows to the adapter's factors.
  void backward();

  /// The batch with embedded tokens before each sequence without prefix, as tokens `id` of type 0
  /// and without targets; valid until the next call. The batch itself where there are none. Of a
  /// cache, sequence cached[s] of which sequence s goes on, before those that have no tokens yet.
  const Batch& with_tokens(const Batch& batch, std::int32_t id,
                           std::span<const std::size_t> cached = {},
                           const KeyValueCache* cache = nullptr);
  /// Of rows of the last such batch, those of its own tokens.
  MatrixView<float> own_rows_of(MatrixView<float> rows, Arena& arena) const;
  /// The places of learned keys in such a batch, until the next call.
  VirtualKeys place_keys(SequenceStarts starts, SequencePrefixes prefixes = {});
  /// Lets the sequences of a cache that have no tokens yet begin with the learned keys and values,
  /// which `fill` then writes there. Throws Error where only some of the layers have them.
  void begin(std::span<const std::size_t> cached, KeyValueCache& cache, const std::string& model);
  void fill(KeyValueCache& cache) const;

 private:
  /// The rows of one place: of one site, or of keys beside values.
  struct Place {
    std::size_t count = 0, width = 0;
    std::vector<std::size_t> sites;  ///< in the adapter's stack
    VirtualRows rows;
    Trace<float> trace;
  };
  template <class Act>
  void for_each(const Act& act);

  std::shared_ptr<const Device> device_;
  Adapter<float>* adapter_ = nullptr;
  std::size_t count_ = 0;
  Buffer<float> unit_vectors_;
  Place embeddings_;
  std::vector<Place> layers_;
  Batch batch_;
  std::vector<std::size_t> own_rows_, order_, starts_, begun_;
};

}  // namespace rankfold
