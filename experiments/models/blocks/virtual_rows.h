#pragma once

#include <cstddef>
#include <span>

#include "core/device/arena.h"
#include "core/device/device.h"

namespace rankfold {

/// Learned rows of virtual tokens in a pass, and where their gradient is added; without memory
/// where there are none, or no backward.
struct VirtualRows {
  MatrixView<float> rows, gradient;
  explicit operator bool() const { return rows.data != nullptr; }
};

/// Where learned keys and values stand among those of a pass: before the sequence's own, of each
/// that has no prefix.
struct VirtualKeys {
  std::size_t count = 0;               ///< of a layer; 0: the pass has none
  std::span<const std::size_t> order;  ///< rows of [learned; tokens'], sequence by sequence,
  SequenceStarts starts;               ///< and where those of each sequence begin there
};

/// Room [learned + tokens, width] in which the tokens' rows are written, behind the learned ones.
struct KeyRoom {
  MatrixView<float> all, tokens;
};
inline KeyRoom take_key_room(const VirtualKeys& keys, std::size_t tokens, std::size_t width,
                             Arena& arena) {
  const MatrixView<float> all = arena.take_matrix(keys.count + tokens, width);
  return {all, {all.row(keys.count), tokens, width, all.stride}};
}

/// spread = the learned rows and the tokens', which are in the room, in the pass's order.
inline void spread_keys(const VirtualKeys& keys, const VirtualRows& learned, const KeyRoom& room,
                        MatrixView<float> spread, const Device& device) {
  device.copy_matrix(learned.rows, {room.all.data, keys.count, room.all.columns, room.all.stride});
  device.gather_rows(room.all, keys.order, spread);
}
/// From dLoss/dspread: adds that of the learned rows, and leaves the tokens' in the room.
inline void gather_key_gradients(const VirtualKeys& keys, MatrixView<const float> spread,
                                 const VirtualRows& learned, const KeyRoom& room,
                                 const Device& device) {
  device.fill_rows(static_cast<const float*>(nullptr), room.all);
  device.add_to_rows(spread, keys.order, room.all);
  device.add_matrix({room.all.data, keys.count, room.all.columns, room.all.stride},
                    learned.gradient);
}

}  // namespace rankfold
