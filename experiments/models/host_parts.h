#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/device.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/blocks/trained_storage.h"
#include "experiments/models/host.h"

// What hosts of every kind do in the same way.

namespace rankfold {

class TrainedWeights;

/// Norms that train: memory of their own for weight and shift, in place of the frozen ones.
class TrainedNorms {
 public:
  explicit TrainedNorms(std::shared_ptr<const Device> device) : device_(std::move(device)) {}

  /// The norm keeps its numbers. An RMS norm has no shift.
  void train(LayerNorm& norm);
  /// Its shift alone; nothing of an RMS norm.
  void train_shift(LayerNorm& norm);
  std::vector<TrainedTensor> tensors();
  void zero_gradients();

 private:
  std::shared_ptr<const Device> device_;
  TrainedStorage& add(const LayerNorm& norm, const char* tensor, const float* values);

  std::vector<TrainedStorage> storages_;
  std::vector<Buffer<float>> unread_;  ///< gradients of the weights whose shifts train alone
};

/// The replaced tensors that a host has read; of none where the pointer is null.
std::vector<Host::DrawnTensor> list_replaced(const ReplacedTensors* replaced);

/// The frozen weight of a site among the linears of a host. Throws Error naming site and model:
/// none of that name, or of another shape.
FrozenLinear<float> find_frozen(std::span<HostLinear* const> linears, const Site& site,
                                const SiteCatalogue& catalogue);
/// Lets the adapter act on the linears of its sites, and gives it their frozen weights; null
/// detaches. Throws Error as find_frozen does, before anything is attached.
void attach_linears(std::span<HostLinear* const> linears, Adapter<float>* adapter,
                    const SiteCatalogue& catalogue);

/// Lets the linears that are among the trained weights train.
void train_linears(std::span<HostLinear* const> linears, TrainedWeights& weights);

/// Throws Error unless a batch has no features, or those [tokens, hidden] of a host with frozen
/// layers below all that trains.
void check_features(const Batch& batch, std::size_t frozen_layers, std::size_t hidden,
                    const std::string& model);
/// Throws Error unless there is room for features of that size.
void check_room_for_features(const Batch& batch, MatrixView<const float> rows, std::size_t hidden,
                             const std::string& model);
/// Features of a batch, in the host's memory, to the device's; and rows back.
void upload_features(MatrixView<const float> features, MatrixView<float> rows,
                     const Device& device);
void download_rows(MatrixView<const float> rows, MatrixView<float> features, const Device& device);

}  // namespace rankfold
