#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/adapter/adapter.h"
#include "core/device/device.h"

namespace rankfold {

/// LoRETTA's head (arXiv 2402.11417): the dense layer before the output replaced by a freshly
/// initialised tensor train W[hidden, hidden] with inner ranks `rank` and a bias. It is an adapter
/// on a stack of the one site `name` without a frozen weight: forward gives X W^T + b.
/// Factors t1 .. td (shape and start as decompositions/loretta.h says) and bias,
/// U(+-1/sqrt(hidden)) from `seed`.
template <class T>
std::unique_ptr<Adapter<T>> make_tensor_train_head(const std::string& name, std::size_t hidden,
                                                   std::size_t rank, std::uint64_t seed,
                                                   std::shared_ptr<const Device> device);

}  // namespace rankfold
