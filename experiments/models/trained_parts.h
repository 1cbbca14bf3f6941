#pragma once

#include <cstddef>
#include <string>

#include "core/adapter/method.h"
#include "experiments/models/host.h"

namespace rankfold {

/// The rank of the tensor train of tt-head: the run's, as in LoRETTA, or 5 where the method has no
/// rank ("").
std::size_t tensor_train_head_rank(const std::string& rank);

/// What --train names, and the part that trains with the method; norms hold norm-shifts.
std::string all_trained_parts(const std::string& train, const Method& method);

/// The parts of the host that --train names: norms, norm-shifts and tt-head; head and output train
/// anyway. check_settings has checked the names, trained_part_parameters that they go together.
TrainedParts parse_trained_parts(const std::string& train, const std::string& rank);

}  // namespace rankfold
