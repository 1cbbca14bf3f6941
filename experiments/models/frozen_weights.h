#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/safetensors.h"
#include "core/device/device.h"
#include "experiments/models/replaced_tensors.h"
#include "experiments/models/trained_weights.h"

namespace rankfold {

/// What the norms of older checkpoints call a tensor, "...LayerNorm.gamma" of
/// "...LayerNorm.weight"; "" where it has one name.
std::string older_name(std::string_view tensor);

/// The tensors of a model folder by their full names ("bert.encoder.layer.0..."), whether
/// or not the checkpoint writes the prefix ("bert."), and whether its layer norms have "weight",
/// "bias" or the older "gamma", "beta". Tensors in float32 stay in the mapped file where the device
/// reaches the host's memory; others are converted or copied once. Values live as long as this
/// object. They are frozen unless `train` says otherwise.
class FrozenWeights {
 public:
  /// Those of `replaced`, which may be null, stand in the place of the checkpoint's.
  FrozenWeights(const std::filesystem::path& folder, std::string prefix,
                std::shared_ptr<const Device> device,
                std::shared_ptr<ReplacedTensors> replaced = nullptr);
  /// Of no checkpoint: every tensor that is asked for is drawn N(0, 0.02) from the seed, a layer
  /// norm's weight is 1 and a bias 0; `find` finds nothing. Numbers repeat after random_period ones
  /// (drawing them all would take longer than the measurement that they serve).
  FrozenWeights(std::uint64_t random_seed, std::shared_ptr<const Device> device);

  /// From now on what is read by `tensor`, `transposed` and `put_together` trains.
  void train() { trained_.emplace(device_); }
  TrainedWeights* trained() { return trained_ ? &*trained_ : nullptr; }
  /// The entry of a tensor, or null where the checkpoint has none.
  const TensorEntry* find(std::string_view name);
  /// Whether the tensor is one of the replaced ones.
  bool is_replaced(std::string_view name) const { return find_replaced(name) != nullptr; }
  /// The replaced tensors that were read; null where there are none.
  const ReplacedTensors* replaced() const { return replaced_.get(); }
  /// The values of a tensor, where the device reads them. Throws Error naming folder and tensor: it
  /// is missing, its shape is not `shape`, or one of its numbers is not finite.
  const float* tensor(std::string_view name, const std::vector<std::size_t>& shape);
  /// The same of a tensor that does not train here, whatever the others do: its reader copies it.
  const float* frozen(std::string_view name, const std::vector<std::size_t>& shape);
  /// The same with its rows (along the first axis) in another order: row k is the tensor's rows[k].
  /// Empty: as they stand. Throws Error where there are not as many or one lies outside.
  const float* frozen(std::string_view name, const std::vector<std::size_t>& shape,
                      std::span<const std::size_t> rows);
  /// The same of a tensor that the checkpoint has as [columns, rows]: turned once into
  /// [rows, columns].
  const float* transposed(std::string_view name, std::size_t rows, std::size_t columns);
  /// A vector put together of tensors that were read here, 0 where no part has any; not counted.
  const float* put_together(std::size_t size, std::vector<VectorPart> parts);
  /// A copy of some rows of what is on the device, there; not counted.
  const float* gather(MatrixView<const float> values, std::span<const std::size_t> rows);
  /// Says that a tensor's values may leave the memory until they are read again.
  void release(std::string_view name);
  /// Whether the checkpoint has both tensors and their numbers are not the same.
  bool differ(std::string_view first, std::string_view second);
  /// Tensors of the checkpoint that nobody has asked for by `find` or `tensor`, sorted.
  std::vector<std::string> unused() const;
  /// What a user should know of those but for the names that `is_expected`; "" where there are
  /// none.
  std::string unused_note(const std::string& model,
                          const std::function<bool(std::string_view name)>& is_expected) const;
  /// Numbers in all tensors that were asked for.
  std::size_t elements() const { return elements_; }

 private:
  static constexpr std::size_t random_period = 65'537;
  std::vector<float> drawn(std::string_view name, std::size_t size);
  std::vector<float> turned(std::string_view name, std::size_t rows, std::size_t columns);
  void forget_since(std::size_t converted, std::size_t placed, std::string_view name);
  const float* keep(std::vector<float> values);
  const TensorEntry* find_stored(std::string_view name);
  const ReplacedTensors::Tensor* find_replaced(std::string_view name) const {
    return replaced_ ? replaced_->read(name, prefix_) : nullptr;
  }
  std::span<const float> read(std::string_view name, const std::vector<std::size_t>& shape);
  void check_finite(std::span<const float> values, const std::string& culprit) const;
  void by_parts(std::size_t size, std::size_t part,
                const std::function<void(std::size_t, std::size_t)>& work) const;

  std::shared_ptr<const Device> device_;
  std::optional<WeightFolder> folder_;
  std::optional<TrainedWeights> trained_;
  std::vector<float> random_;  ///< one period
  std::string prefix_;
  std::shared_ptr<ReplacedTensors> replaced_;
  std::deque<std::vector<float>> converted_;
  std::deque<Buffer<float>> placed_;
  std::map<std::string, const float*, std::less<>> transposed_;
  std::set<std::string, std::less<>> asked_for_;
  std::size_t elements_ = 0;
};

}  // namespace rankfold
