#pragma once

#include <string>

#include "experiments/models/host.h"

namespace rankfold {

/// The parts of the host that --train names: norms and tt-head; head and output train anyway. The
/// tensor train of tt-head has the run's rank, as in LoRETTA (5 where the rank is not one number).
/// check_settings has checked the names.
TrainedParts parse_trained_parts(const std::string& train, const std::string& rank);

}  // namespace rankfold
